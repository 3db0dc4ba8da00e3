import { Badge, Button, Table, Text } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { Session } from '../../../../access/index.ts'
import { call } from '../api/client.ts'
import { useMe } from '../api/me.ts'
import { useSessions } from '../api/queries.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Asked, Card, Problem } from '../parts/page.tsx'

/** Where people are signed in, or where one is oneself; each can be ended. */
export function Sessions({ isOwn }: { isOwn: boolean }) {
  const { t, format } = useTexts()
  const { session: mine } = useMe()
  const queries = useQueryClient()
  const sessions = useSessions(isOwn)
  const end = useMutation({
    mutationFn: (id: string) =>
      call(`${isOwn ? '/account' : ''}/sessions/${encodeURIComponent(id)}`, { method: 'DELETE' }),
    onSettled: () => void queries.invalidateQueries({ queryKey: ['sessions'] })
  })
  const row = ({ id, name, agent, address, used, expires }: Session) => (
    <Table.Tr key={id}>
      <Table.Td>
        <Text size="sm" fw={500}>
          {isOwn ? agentName(agent) : name}
        </Text>
        <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
          {isOwn ? address : `${agentName(agent)} · ${address}`}
        </Text>
        <Text size="xs" c="dimmed">
          {t('sessions.times', { used: format.dateTime(used), expires: format.dateTime(expires) })}
        </Text>
      </Table.Td>
      <Table.Td ta="end">
        {id === mine ? (
          <Badge tt="none" variant="light" className="state-badge" miw="max-content">
            {t('sessions.mine')}
          </Badge>
        ) : (
          <Button
            size="compact-sm"
            variant="default"
            aria-label={t('sessions.endOf', { name: isOwn ? agentName(agent) : name })}
            loading={end.isPending && end.variables === id}
            onClick={() => end.mutate(id)}
          >
            {t('sessions.end')}
          </Button>
        )}
      </Table.Td>
    </Table.Tr>
  )
  return (
    <Card title={t(isOwn ? 'sessions.own' : 'sessions.all')}>
      <Asked query={sessions}>
        {({ items }) =>
          items.length === 0 ? (
            <Text size="sm" c="dimmed">
              {t('sessions.none')}
            </Text>
          ) : (
            <Table verticalSpacing="xs">
              <Table.Tbody>{items.map(row)}</Table.Tbody>
            </Table>
          )
        }
      </Asked>
      {end.error != null && <Problem error={end.error} />}
    </Card>
  )
}

/** What people call it: "Firefox, Linux". */
function agentName(agent: string): string {
  const browser = /(Edg|OPR|YaBrowser|Firefox|Chrome|Safari)\//.exec(agent)?.[1]
  const system = /(Android|iPhone|iPad|Windows|Mac OS X|Linux)/.exec(agent)?.[1]
  const names = [browser?.replace('Edg', 'Edge').replace('OPR', 'Opera'), system].filter(Boolean)
  return names.length === 0 ? agent.slice(0, 40) || '?' : names.join(', ')
}
