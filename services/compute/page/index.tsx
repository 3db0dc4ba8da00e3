import { Alert, Center, Group, Loader, SimpleGrid, Stack, Switch, Text, Title } from '@mantine/core'
import { useEffect, useMemo, useState } from 'react'
import type { ContributionPatch } from '../schema.ts'
import { ask, type Lent, type PageProps } from './api.ts'
import { Limits } from './limits.tsx'
import { createWords, type Words } from './words.ts'

const LOOK_MS = 2000

/** What this machine lends, and the switch for it. */
export default function ComputePage({ language, request }: PageProps) {
  const words = useMemo(() => createWords(language), [language])
  const [lent, setLent] = useState<Lent>()
  /** why it is not known; what was known stays, for the dashboard says that the node is gone */
  const [missing, setMissing] = useState<string>()
  const [failure, setFailure] = useState<string>()
  const [isBusy, setBusy] = useState(false)

  useEffect(() => {
    // what was asked before a change would show what was before it
    if (isBusy) return
    const controller = new AbortController()
    const { signal } = controller
    const look = (): void =>
      void ask(request, { signal }).then(
        found => setLent(found),
        (error: Error) => {
          if (!signal.aborted) setMissing(error.message)
        }
      )
    look()
    const timer = window.setInterval(look, LOOK_MS)
    return () => {
      controller.abort()
      window.clearInterval(timer)
    }
  }, [request, isBusy])

  async function change(patch: ContributionPatch): Promise<void> {
    setBusy(true)
    setFailure(undefined)
    try {
      setLent(await ask(request, { patch }))
    } catch (error) {
      setFailure((error as Error).message)
    }
    setBusy(false)
  }

  if (lent == null)
    return missing == null ? (
      <Center mih="12rem" role="status" aria-label={words.t('loading')}>
        <Loader aria-hidden />
      </Center>
    ) : (
      <Wrong text={missing} />
    )
  return (
    <Stack gap="md" mb="md">
      <MainSwitch {...lent} onChange={enabled => void change({ enabled })} isBusy={isBusy} words={words} />
      {failure != null && <Wrong text={failure} />}
      <Today today={lent.today} words={words} />
      <Limits limits={lent.limits} isBusy={isBusy} onSave={limits => void change({ limits })} words={words} />
    </Stack>
  )
}

interface MainSwitchProps extends Lent {
  words: Words
  onChange(enabled: boolean): void
  isBusy: boolean
}

function MainSwitch({ enabled, open, reason, onChange, isBusy, words: { t } }: MainSwitchProps) {
  return (
    <section className="card">
      <Switch
        size="xl"
        checked={enabled}
        disabled={isBusy}
        onChange={event => onChange(event.currentTarget.checked)}
        label={
          <Text fz="lg" fw={600}>
            {t(enabled ? 'on' : 'off')}
          </Text>
        }
        description={t('switch')}
        styles={{ description: { fontSize: 'var(--mantine-font-size-sm)' } }}
      />
      <Group mt="md" gap="xs" role="status">
        <span className="dot" style={{ background: open ? '#2f9e6e' : '#8a95a3' }} />
        <Text size="sm">{t(open ? 'open' : 'closed')}</Text>
        {!open && reason != null && (
          <Text size="sm" c="dimmed">
            {reason}
          </Text>
        )}
      </Group>
    </section>
  )
}

function Today({ today, words }: { today: Lent['today']; words: Words }) {
  const { t, number } = words
  return (
    <section className="card">
      <Group justify="space-between" mb="sm" gap="xs">
        <Title order={2}>{t('today')}</Title>
        <Text size="xs" c="dimmed">
          {t('since', { time: words.dateTime(today.since) })}
        </Text>
      </Group>
      <SimpleGrid cols={{ base: 2, md: 4 }}>
        <Figure label={t('slices')} value={number(today.slices)} />
        <Figure label={t('cpu')} value={words.duration(today.cpuMs)} />
        <Figure label={t('earned')} value={words.credits(today.earned)} />
        <Figure label={t('requesters')} value={number(today.requesters)} />
      </SimpleGrid>
      {today.slices === 0 && (
        <Text size="sm" c="dimmed" mt="sm">
          {t('nothing')}
        </Text>
      )}
    </section>
  )
}

function Figure({ label, value }: { label: string; value: string }) {
  return (
    <div style={{ minWidth: 0 }}>
      <Text c="dimmed" size="sm">
        {label}
      </Text>
      <Text fz="1.5rem" fw={650} lh={1.25} className="num">
        {value}
      </Text>
    </div>
  )
}

function Wrong({ text }: { text: string }) {
  return (
    <Alert role="alert" color="red" variant="light">
      {text}
    </Alert>
  )
}
