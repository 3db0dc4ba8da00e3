import { Button, Group, NumberInput, SimpleGrid, Slider, Stack, Switch, Text } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { call } from '../api/client.ts'
import { useContribution, useVolunteers } from '../api/queries.ts'
import type { Contribution, ContributionPatch } from '../api/wire.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Asked, Card, Figure, PageHead, Problem } from '../parts/page.tsx'
import { QuietHours } from '../parts/quiet-hours.tsx'
import { href } from '../router.ts'

export default function ContributePage() {
  const { t } = useTexts()
  const contribution = useContribution()
  return (
    <>
      <PageHead title={t('nav.contribute')} lead={t('contribute.lead')} />
      <Asked query={contribution}>{data => <Contribute {...data} />}</Asked>
    </>
  )
}

function Contribute(contribution: Contribution) {
  const queries = useQueryClient()
  const change = useMutation({
    mutationFn: (patch: ContributionPatch) =>
      call<Contribution>('/contribution', { method: 'PATCH', body: patch }),
    async onSuccess(data) {
      // what was asked before the change would show what was before it
      await queries.cancelQueries({ queryKey: ['contribution'] })
      queries.setQueryData(['contribution'], data)
    }
  })
  return (
    <Stack gap="md">
      <MainSwitch
        {...contribution}
        onChange={enabled => change.mutate({ enabled })}
        isBusy={change.isPending}
      />
      {change.error != null && <Problem error={change.error} />}
      <Today today={contribution.today} />
      <ThisBrowser />
      <Limits
        limits={contribution.limits}
        isBusy={change.isPending}
        onSave={limits => change.mutate({ limits })}
      />
    </Stack>
  )
}

interface MainSwitchProps extends Contribution {
  onChange(enabled: boolean): void
  isBusy: boolean
}

function MainSwitch({ enabled, open, reason, onChange, isBusy }: MainSwitchProps) {
  const { t } = useTexts()
  return (
    <Card>
      <Switch
        size="xl"
        checked={enabled}
        disabled={isBusy}
        onChange={event => onChange(event.currentTarget.checked)}
        label={
          <Text fz="lg" fw={600}>
            {t(enabled ? 'contribute.on' : 'contribute.off')}
          </Text>
        }
        description={t('contribute.switch')}
        styles={{ description: { fontSize: 'var(--mantine-font-size-sm)' } }}
      />
      <Group mt="md" gap="xs" role="status">
        <span className="dot" style={{ background: open ? '#2f9e6e' : '#8a95a3' }} />
        <Text size="sm">{t(open ? 'contribute.open' : 'contribute.closed')}</Text>
        {!open && reason != null && (
          <Text size="sm" c="dimmed">
            {reason}
          </Text>
        )}
      </Group>
    </Card>
  )
}

function Today({ today }: { today: Contribution['today'] }) {
  const { t, format } = useTexts()
  return (
    <Card
      title={t('contribute.today')}
      aside={
        <Text size="xs" c="dimmed">
          {t('contribute.since', { time: format.dateTime(today.since) })}
        </Text>
      }
    >
      <SimpleGrid cols={{ base: 2, md: 4 }}>
        <Figure label={t('contribute.slices')} value={format.number(today.slices)} />
        <Figure label={t('contribute.cpu')} value={format.duration(today.cpuMs)} />
        <Figure label={t('contribute.earned')} value={format.credits(today.earned, 4)} />
        <Figure label={t('contribute.requesters')} value={format.number(today.requesters)} />
      </SimpleGrid>
      {today.slices === 0 && (
        <Text size="sm" c="dimmed" mt="sm">
          {t('contribute.nothing')}
        </Text>
      )}
    </Card>
  )
}

/** The way to the page from a screen whose bar has no room for it. */
function ThisBrowser() {
  const { t } = useTexts()
  if (useVolunteers().data !== true) return null
  return (
    <Card
      title={t('lend.card')}
      aside={
        <Button component="a" href={href('lend')} variant="default">
          {t('nav.lend')}
        </Button>
      }
    >
      <Text size="sm">{t('lend.cardText')}</Text>
    </Card>
  )
}

type LimitValues = Contribution['limits']

/** Changes are gathered here and saved together, so that a half-moved slider limits nothing. */
function Limits({
  limits,
  onSave,
  isBusy
}: {
  limits: LimitValues
  onSave(limits: LimitValues): void
  isBusy: boolean
}) {
  const { t, format } = useTexts()
  const [draft, setDraft] = useState(limits)
  const saved = JSON.stringify(limits)
  // what was saved, here or elsewhere, is shown
  useEffect(() => setDraft(JSON.parse(saved) as LimitValues), [saved])
  const isChanged = JSON.stringify(draft) !== saved
  const set = (patch: Partial<LimitValues>): void => setDraft(current => ({ ...current, ...patch }))
  const cores = Math.max(navigator.hardwareConcurrency, limits.slots)
  return (
    <form
      onSubmit={event => {
        event.preventDefault()
        onSave(draft)
      }}
    >
      <Card title={t('limits.title')}>
        <div className="split" style={{ gap: '1.5rem' }}>
          <Stack gap="lg">
            <div>
              <Group justify="space-between">
                <Text size="sm" fw={500}>
                  {t('limits.slots')}
                </Text>
                <Text size="sm" className="num">
                  {t('limits.slotsOf', { slots: draft.slots, n: cores })}
                </Text>
              </Group>
              <Slider
                mt={6}
                min={0}
                max={cores}
                value={draft.slots}
                onChange={slots => set({ slots })}
                thumbLabel={t('limits.slots')}
                label={value => format.number(value)}
              />
            </div>
            <NumberInput
              label={t('limits.memory')}
              description={t('limits.memoryHint')}
              suffix={` ${t('limits.mb')}`}
              min={64}
              step={256}
              value={draft.maxRamMb}
              onChange={value => typeof value === 'number' && set({ maxRamMb: value })}
            />
            <NumberInput
              label={t('limits.price')}
              description={t('limits.priceHint')}
              min={0}
              max={1e6}
              step={0.001}
              decimalScale={6}
              value={draft.minPrice}
              onChange={value => typeof value === 'number' && set({ minPrice: value })}
            />
            <Switch
              label={t('limits.idle')}
              description={t('limits.idleHint')}
              checked={draft.onlyIdle}
              onChange={event => set({ onlyIdle: event.currentTarget.checked })}
            />
          </Stack>
          <QuietHours hours={draft.quietHours} onChange={quietHours => set({ quietHours })} />
        </div>
        <Group mt="lg">
          <Button type="submit" disabled={!isChanged} loading={isBusy && isChanged}>
            {t('action.save')}
          </Button>
          <Button variant="default" disabled={!isChanged} onClick={() => setDraft(limits)}>
            {t('action.discard')}
          </Button>
        </Group>
      </Card>
    </form>
  )
}
