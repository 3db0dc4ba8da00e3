import { Button, Group, NativeSelect, Stack, Table, Text, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { UserPlus } from 'lucide-react'
import { useState } from 'react'
import type { NewInvitation } from '../../../../access/index.ts'
import { call } from '../api/client.ts'
import { useInvitations } from '../api/queries.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Asked, Card, Problem } from '../parts/page.tsx'
import { LinkDialog } from './link.tsx'

/** One person: with the name that he shall have, or the one that he chooses. */
export function Invite({ roles }: { roles: string[] }) {
  const { t } = useTexts()
  const queries = useQueryClient()
  const [name, setName] = useState('')
  const [role, setRole] = useState(roles.includes('pupil') ? 'pupil' : (roles[0] ?? ''))
  const invite = useMutation({
    mutationFn: () =>
      name.trim() === ''
        ? call<NewInvitation>('/invitations', { method: 'POST', body: { role } })
        : call<NewInvitation>('/accounts', { method: 'POST', body: { name, role } }),
    onSuccess: () => {
      setName('')
      void queries.invalidateQueries({ queryKey: ['accounts'] })
      void queries.invalidateQueries({ queryKey: ['invitations'] })
    }
  })
  return (
    <Card title={t('invite.title')}>
      <form
        onSubmit={event => {
          event.preventDefault()
          invite.mutate()
        }}
      >
        <Stack>
          <TextInput
            label={t('invite.name')}
            description={t('invite.nameHint')}
            maxLength={64}
            autoComplete="off"
            value={name}
            onChange={event => setName(event.currentTarget.value)}
          />
          <NativeSelect
            label={t('people.role')}
            data={roles}
            value={role}
            onChange={event => setRole(event.currentTarget.value)}
          />
          {invite.error != null && <Problem error={invite.error} />}
          <Group>
            <Button type="submit" leftSection={<UserPlus size={16} aria-hidden />} loading={invite.isPending}>
              {t('invite.make')}
            </Button>
          </Group>
        </Stack>
      </form>
      <Waiting />
      <LinkDialog invitation={invite.data} close={invite.reset} />
    </Card>
  )
}

/** Invitations that nobody accepted yet. */
function Waiting() {
  const { t, format } = useTexts()
  const queries = useQueryClient()
  const invitations = useInvitations()
  const withdraw = useMutation({
    mutationFn: (id: string) => call(`/invitations/${encodeURIComponent(id)}`, { method: 'DELETE' }),
    onSettled: () => void queries.invalidateQueries({ queryKey: ['invitations'] })
  })
  return (
    <Asked query={invitations}>
      {({ items }) =>
        items.length > 0 && (
          <>
            <Text size="sm" fw={600} mt="md" mb={4} component="h3">
              {t('invite.waiting')}
            </Text>
            <Table verticalSpacing={6}>
              <Table.Tbody>
                {items.map(({ id, name, role, expires }) => (
                  <Table.Tr key={id}>
                    <Table.Td>
                      <Text size="sm">{name ?? t('invite.anybody')}</Text>
                      <Text size="xs" c="dimmed">
                        {role} · {t('invite.until', { time: format.dateTime(expires) })}
                      </Text>
                    </Table.Td>
                    <Table.Td ta="end">
                      <Button
                        size="compact-sm"
                        variant="default"
                        aria-label={t('invite.withdrawOf', { name: name ?? t('invite.anybody') })}
                        onClick={() => withdraw.mutate(id)}
                      >
                        {t('invite.withdraw')}
                      </Button>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
            {withdraw.error != null && <Problem error={withdraw.error} />}
          </>
        )
      }
    </Asked>
  )
}
