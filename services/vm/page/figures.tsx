import { Button, Group, NumberInput, Stack, Text } from '@mantine/core'
import { useEffect, useMemo, useState } from 'react'
import type { PageProps } from './api.ts'
import type { PartProps } from './part.ts'
import { addSample, type Sample, seriesOf } from './samples.ts'

const MB = 2 ** 20

/** What a machine uses, as long as somebody looks, and what it may use. */
export function Figures({ vm, machine, api, words, act, Chart }: PartProps & Pick<PageProps, 'Chart'>) {
  const { t, number } = words
  const [samples, setSamples] = useState<readonly Sample[]>([])
  const [ramMb, setRamMb] = useState<number | string>(machine.pending?.ramMb ?? machine.ramMb)
  const [cpu, setCpu] = useState<number | string>(machine.pending?.cpu ?? machine.cpu)
  const series = useMemo(() => seriesOf(samples), [samples])
  useEffect(() => {
    const { cpuMs, memoryBytes } = machine
    if (cpuMs !== undefined && memoryBytes !== undefined)
      setSamples(before => addSample(before, { at: Date.now(), cpuMs, memoryMb: memoryBytes / MB }))
  }, [machine])

  return (
    <Stack gap="md">
      <form
        onSubmit={event => {
          event.preventDefault()
          void act(api.update(vm, Number(ramMb), Number(cpu)))
        }}
      >
        <Group align="flex-end" gap="sm">
          <NumberInput label={t('ram')} min={16} value={ramMb} onChange={setRamMb} w="9rem" />
          <NumberInput label={t('cpu')} min={1} value={cpu} onChange={setCpu} w="9rem" />
          <Button type="submit" variant="default">
            {t('resize')}
          </Button>
        </Group>
      </form>
      {machine.cpuMs === undefined ? (
        <Text size="sm">{t('isOff')}</Text>
      ) : (
        <>
          <Titled title={t('cpuChart')}>
            <Chart
              label={t('cpuChart')}
              data={series.cpu}
              names={[t('cpuChart')]}
              isTime
              most={100 * machine.cpu}
              format={number}
            />
          </Titled>
          <Titled title={t('memoryChart')}>
            <Chart
              label={t('memoryChart')}
              data={series.memory}
              names={[t('memoryChart')]}
              isTime
              most={machine.ramMb}
              format={number}
            />
          </Titled>
        </>
      )}
    </Stack>
  )
}

function Titled({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <div>
      <Text size="sm" fw={600} mb={4}>
        {title}
      </Text>
      {children}
    </div>
  )
}
