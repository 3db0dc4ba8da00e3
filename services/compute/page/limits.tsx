import { Button, Group, NumberInput, Slider, Stack, Switch, Text, Title } from '@mantine/core'
import { useEffect, useState } from 'react'
import type { Lent } from './api.ts'
import { QuietHours } from './quiet-hours.tsx'
import type { Words } from './words.ts'

type LimitValues = Lent['limits']

/** Changes are gathered here and saved together, so that a half-moved slider limits nothing. */
export function Limits({
  limits,
  onSave,
  isBusy,
  words
}: {
  limits: LimitValues
  onSave(limits: LimitValues): void
  isBusy: boolean
  words: Words
}) {
  const { t, number } = words
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
      <section className="card">
        <Title order={2} mb="sm">
          {t('limitsTitle')}
        </Title>
        <div className="split" style={{ gap: '1.5rem' }}>
          <Stack gap="lg">
            <div>
              <Group justify="space-between">
                <Text size="sm" fw={500}>
                  {t('limitsSlots')}
                </Text>
                <Text size="sm" className="num">
                  {t('limitsSlotsOf', { slots: draft.slots, n: cores })}
                </Text>
              </Group>
              <Slider
                mt={6}
                min={0}
                max={cores}
                value={draft.slots}
                onChange={slots => set({ slots })}
                thumbLabel={t('limitsSlots')}
                label={value => number(value)}
              />
            </div>
            <NumberInput
              label={t('limitsMemory')}
              description={t('limitsMemoryHint')}
              suffix={` ${t('limitsMb')}`}
              min={64}
              step={256}
              value={draft.maxRamMb}
              onChange={value => typeof value === 'number' && set({ maxRamMb: value })}
            />
            <NumberInput
              label={t('limitsPrice')}
              description={t('limitsPriceHint')}
              min={0}
              max={1e6}
              step={0.001}
              decimalScale={6}
              value={draft.minPrice}
              onChange={value => typeof value === 'number' && set({ minPrice: value })}
            />
            <Switch
              label={t('limitsIdle')}
              description={t('limitsIdleHint')}
              checked={draft.onlyIdle}
              onChange={event => set({ onlyIdle: event.currentTarget.checked })}
            />
          </Stack>
          <QuietHours hours={draft.quietHours} onChange={quietHours => set({ quietHours })} words={words} />
        </div>
        <Group mt="lg">
          <Button type="submit" disabled={!isChanged} loading={isBusy && isChanged}>
            {t('save')}
          </Button>
          <Button variant="default" disabled={!isChanged} onClick={() => setDraft(limits)}>
            {t('discard')}
          </Button>
        </Group>
      </section>
    </form>
  )
}
