import { Button, Checkbox, FileButton, Group, ScrollArea, Stack, Table, Text, Title } from '@mantine/core'
import { FileUp } from 'lucide-react'
import { useState } from 'react'
import { base64Of } from './bytes.ts'
import { Cards, Codes } from './codes.tsx'
import type { PartProps } from './part.ts'
import type { Imported } from './wire.ts'

/** A list of people: looked at first, then done, then codes. */
export function ImportPeople({
  api,
  words,
  fail,
  changed
}: Pick<PartProps, 'api' | 'words' | 'fail'> & { changed(): void }) {
  const { t } = words
  const [csv, setCsv] = useState<string>()
  const [imported, setImported] = useState<Imported>()
  const [hosted, setHosted] = useState(false)
  const [isBusy, setIsBusy] = useState(false)
  const count = (...actions: string[]): number =>
    imported?.lines.filter(({ action }) => actions.includes(action)).length ?? 0

  async function bring(list: string, apply: boolean): Promise<void> {
    setIsBusy(true)
    try {
      setImported(await api.importUsers({ csv: list, apply, hosted, address: appAddress() }))
      if (apply) changed()
    } catch (error) {
      setImported(undefined)
      fail(error as Error)
    }
    setIsBusy(false)
  }
  async function choose(file: File | null): Promise<void> {
    if (file === null) return
    const list = await base64Of(file)
    setCsv(list)
    await bring(list, false)
  }
  const isPreview = imported?.isApplied === false
  return (
    <section className="card" aria-label={t('import')}>
      <Title order={2} size="h4" mb="xs">
        {t('import')}
      </Title>
      <Stack gap="sm">
        <Text size="sm" c="dimmed">
          {t('importText')}
        </Text>
        <Checkbox
          label={t('hostThem')}
          description={t('hostThemText')}
          checked={hosted}
          onChange={({ currentTarget }) => setHosted(currentTarget.checked)}
        />
        <Group>
          <FileButton accept=".csv,.txt,text/csv,text/plain" onChange={file => void choose(file)}>
            {props => (
              <Button
                {...props}
                variant="default"
                loading={isBusy}
                leftSection={<FileUp size={16} aria-hidden />}
              >
                {t('chooseList')}
              </Button>
            )}
          </FileButton>
          {isPreview && csv !== undefined && count('create', 'change') > 0 && (
            <Button loading={isBusy} onClick={() => void bring(csv, true)}>
              {t('importDo', { n: count('create', 'change') })}
            </Button>
          )}
        </Group>
        {imported !== undefined && (
          <Text size="sm" role="status">
            {t(isPreview ? 'importWould' : 'importDone', {
              create: count('create'),
              change: count('change'),
              same: count('same'),
              wrong: count('wrong')
            })}
          </Text>
        )}
        {isPreview && <Preview lines={imported.lines} words={words} />}
        {imported !== undefined && (
          <>
            <Codes invitations={imported.invitations} words={words} />
            <Cards cards={imported.cards} words={words} />
          </>
        )}
      </Stack>
    </section>
  )
}

/** Where this page is for those who have it alone. */
export const appAddress = (): string => new URL('./messenger.html', window.location.href).href

function Preview({ lines, words }: Pick<Imported, 'lines'> & Pick<PartProps, 'words'>) {
  const { t, word } = words
  const wrongFirst = lines.toSorted((a, b) => Number(b.action === 'wrong') - Number(a.action === 'wrong'))
  return (
    <ScrollArea.Autosize
      mah="20rem"
      viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': t('importLines') }}
    >
      <Table verticalSpacing={4}>
        <Table.Tbody>
          {wrongFirst.map(({ line, id, name, role, classes, action, mistake }) => (
            <Table.Tr key={line}>
              <Table.Td className="num" c="dimmed">
                {line}
              </Table.Td>
              <Table.Td>
                <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
                  <bdi>{name}</bdi>
                </Text>
                <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
                  {id} · {word('role', role)} {classes.join(', ')}
                </Text>
                {mistake !== undefined && (
                  <Text size="xs" className="mistake" style={{ overflowWrap: 'anywhere' }}>
                    {mistake}
                  </Text>
                )}
              </Table.Td>
              <Table.Td>
                <Text size="sm">{word('action', action)}</Text>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </ScrollArea.Autosize>
  )
}
