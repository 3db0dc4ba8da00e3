import { Alert, Stack, Tabs, Text } from '@mantine/core'
import type { ReactNode } from 'react'

interface FrameProps {
  /** what the page is for */
  lead: string
  /** what went wrong last */
  failure: string | undefined
  /** the failure was read */
  dismiss(): void
  /** of the button that does that */
  close: string
  /** one is there at a time, the first at first */
  tabs: readonly { name: string; title: string; content: ReactNode }[]
}

/** What pages of services look like that have several parts. */
export function Frame({ lead, failure, dismiss, close, tabs }: FrameProps) {
  return (
    <Stack gap="md" mb="md">
      <Text c="dimmed" size="sm">
        {lead}
      </Text>
      {failure !== undefined && (
        <Alert
          color="red"
          variant="light"
          role="alert"
          withCloseButton
          closeButtonLabel={close}
          onClose={dismiss}
        >
          {failure}
        </Alert>
      )}
      <Tabs defaultValue={tabs[0]!.name} keepMounted={false}>
        <Tabs.List mb="md">
          {tabs.map(({ name, title }) => (
            <Tabs.Tab key={name} value={name}>
              {title}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {tabs.map(({ name, content }) => (
          <Tabs.Panel key={name} value={name}>
            {content}
          </Tabs.Panel>
        ))}
      </Tabs>
    </Stack>
  )
}
