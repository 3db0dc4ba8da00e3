import { Badge, Progress, Stack, Table, Text, Title } from '@mantine/core'
import { useCallback } from 'react'
import { RemoveButton } from '../../host/page/rows.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { CampaignRow } from './api.ts'
import { CampaignForm } from './campaign-form.tsx'
import { EVERY_MS, type PartProps } from './part.ts'
import type { Words } from './words.ts'

/** Campaigns of this node, on which TVs they are complete, and how often they were shown. */
export function Campaigns(part: PartProps) {
  const { api, words, tell, fail } = part
  const { t } = words
  const { value, reload } = useLoaded(
    useCallback(() => api.campaigns(), [api]),
    { fail, everyMs: EVERY_MS }
  )
  const rows = value?.items ?? []
  return (
    <Stack gap="md">
      {value !== undefined && rows.length === 0 && (
        <section className="card">
          <Text size="sm">{t('noCampaigns')}</Text>
        </section>
      )}
      {rows.map(row => (
        <One
          key={row.name}
          row={row}
          words={words}
          end={() => void api.endCampaign(row.name).then(reload, fail)}
        />
      ))}
      <section className="card">
        <Title order={2} size="h5">
          {t('newCampaign')}
        </Title>
        <CampaignForm
          words={words}
          save={campaign =>
            api.setCampaign(campaign).then(
              async ({ overlaps }) => {
                const names = overlaps.map(({ name, priority }) => `${name} (${priority})`).join(', ')
                tell(
                  [
                    t('saved', { name: campaign.name }),
                    ...(names === '' ? [] : [t('overlaps', { names })])
                  ].join('. ')
                )
                await reload()
                return true
              },
              (error: Error) => {
                fail(error)
                return false
              }
            )
          }
        />
      </section>
    </Stack>
  )
}

function One({ row, words, end }: { row: CampaignRow; words: Words; end(): void }) {
  const { t, time, number, megabytes, state } = words
  const ready = row.tvs.filter(({ isReady }) => isReady).length
  const counted = t('ready', { n: number(ready), of: number(row.tvs.length) })
  return (
    <section className="card" aria-label={row.name}>
      <div style={{ display: 'flex', justifyContent: 'space-between', gap: '0.5rem' }}>
        <Title order={2} size="h5" style={{ overflowWrap: 'anywhere' }}>
          {row.name}
        </Title>
        <RemoveButton label={t('end', { name: row.name })} onClick={end} />
      </div>
      <Text size="xs" c="dimmed">
        {t('campaignAbout', {
          start: time(row.start),
          end: time(row.end),
          priority: row.priority,
          files: row.files,
          size: megabytes(row.bytes)
        })}
      </Text>
      {row.schedule.map(hours => (
        <Text key={hours} size="xs" c="dimmed">
          {hours}
        </Text>
      ))}
      <Text size="sm" mt="xs">
        {counted}
        {row.late.length > 0 && ` · ${t('late', { n: number(row.late.length) })}`}
      </Text>
      <Progress
        value={row.tvs.length === 0 ? 0 : (100 * ready) / row.tvs.length}
        aria-label={counted}
        mt="xs"
      />
      <Table aria-label={t('readyOf', { name: row.name })} mt="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t('tv')}</Table.Th>
            <Table.Th>{t('state')}</Table.Th>
            <Table.Th ta="right">{t('shown')}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {row.tvs.map(tv => (
            <Table.Tr key={`${tv.agent} ${tv.tv}`}>
              <Table.Th scope="row" fw={400} style={{ overflowWrap: 'anywhere' }}>
                {tv.tv}
              </Table.Th>
              <Table.Td>
                <Badge variant="dot" tt="none" color={tv.isReady ? 'teal' : 'orange'}>
                  {state(tv, row.files)}
                </Badge>
              </Table.Td>
              <Table.Td className="num" ta="right">
                {number(tv.shown)}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </section>
  )
}
