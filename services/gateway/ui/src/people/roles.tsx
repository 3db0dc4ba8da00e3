import { ActionIcon, Button, Checkbox, Group, Stack, Table, Text, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { X } from 'lucide-react'
import { useState } from 'react'
import type { Role } from '../../../../access/index.ts'
import { call } from '../api/client.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Card, Problem } from '../parts/page.tsx'

const ADMIN = 'admin'

/** What people may do, by role. */
export function Roles({ roles, scopes }: { roles: Role[]; scopes: readonly string[] }) {
  const { t } = useTexts()
  const queries = useQueryClient()
  const [name, setName] = useState('')
  const change = useMutation({
    mutationFn: ({ isGone, ...role }: Role & { isGone?: boolean }) =>
      isGone
        ? call(`/roles/${encodeURIComponent(role.name)}`, { method: 'DELETE' })
        : call('/roles', { method: 'POST', body: role }),
    onSettled: () => {
      for (const key of ['roles', 'sessions']) void queries.invalidateQueries({ queryKey: [key] })
    }
  })
  const isNew = name.trim() !== '' && roles.every(role => role.name !== name.trim())
  return (
    <Card title={t('roles.title')}>
      <Stack>
        <Text size="sm" c="dimmed">
          {t('roles.explain')}
        </Text>
        {change.error != null && <Problem error={change.error} />}
        <Table verticalSpacing="xs" horizontalSpacing={6}>
          <Table.Tbody>
            {roles.map(role => (
              <Table.Tr key={role.name}>
                <Table.Td>
                  <Text size="sm" fw={500}>
                    {role.name}
                  </Text>
                </Table.Td>
                <Table.Td>
                  {role.name === ADMIN ? (
                    <Text size="sm" c="dimmed">
                      {t('roles.all')}
                    </Text>
                  ) : (
                    <Group gap="sm">
                      {scopes.map(scope => (
                        <Checkbox
                          key={scope}
                          size="xs"
                          label={scope}
                          aria-label={t('roles.scopeOf', { scope, name: role.name })}
                          checked={role.scopes.includes(scope)}
                          disabled={change.isPending}
                          onChange={event =>
                            change.mutate({
                              name: role.name,
                              scopes: event.currentTarget.checked
                                ? [...role.scopes, scope]
                                : role.scopes.filter(each => each !== scope)
                            })
                          }
                        />
                      ))}
                    </Group>
                  )}
                </Table.Td>
                <Table.Td ta="end">
                  {role.name !== ADMIN && (
                    <ActionIcon
                      variant="default"
                      aria-label={t('roles.removeOf', { name: role.name })}
                      onClick={() => change.mutate({ ...role, isGone: true })}
                    >
                      <X size={16} aria-hidden />
                    </ActionIcon>
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
        <form
          onSubmit={event => {
            event.preventDefault()
            change.mutate({ name: name.trim(), scopes: [] }, { onSuccess: () => setName('') })
          }}
        >
          <Group align="flex-end">
            <TextInput
              label={t('roles.new')}
              maxLength={32}
              value={name}
              onChange={event => setName(event.currentTarget.value)}
            />
            <Button type="submit" variant="default" disabled={!isNew}>
              {t('roles.add')}
            </Button>
          </Group>
        </form>
      </Stack>
    </Card>
  )
}
