import { ActionIcon, Badge, Group, Menu, NativeSelect, Table, Text, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { EllipsisVertical, Search } from 'lucide-react'
import { useState } from 'react'
import type { Account, NewInvitation } from '../../../../access/index.ts'
import { call } from '../api/client.ts'
import { useAccounts } from '../api/queries.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Empty } from '../parts/empty.tsx'
import { Asked, Card, Problem } from '../parts/page.tsx'
import { LinkDialog } from './link.tsx'

/** More rows than that are searched for, not scrolled to. */
const MAX_SHOWN = 200

interface Action {
  path: string
  method: 'POST' | 'PUT' | 'DELETE'
  body?: unknown
}

export function People({ roles }: { roles: string[] }) {
  const { t } = useTexts()
  const [wanted, setWanted] = useState('')
  const accounts = useAccounts()
  const queries = useQueryClient()
  const act = useMutation({
    mutationFn: ({ path, ...options }: Action) => call<NewInvitation | undefined>(path, options),
    onSettled: () => {
      for (const key of ['accounts', 'sessions', 'invitations'])
        void queries.invalidateQueries({ queryKey: [key] })
    }
  })
  const link = act.data?.code == null ? undefined : act.data
  return (
    <Card
      title={t('people.title')}
      aside={
        accounts.data != null && (
          <Text size="sm" c="dimmed">
            {t('people.count', { n: accounts.data.items.length })}
          </Text>
        )
      }
    >
      <Asked query={accounts}>
        {({ items }) => {
          if (items.length === 0) return <Empty title={t('people.none')} text={t('people.noneText')} />
          const found = items.filter(({ name, role }) =>
            `${name} ${role}`.toLowerCase().includes(wanted.trim().toLowerCase())
          )
          return (
            <>
              {items.length > 10 && (
                <TextInput
                  mb="sm"
                  aria-label={t('people.search')}
                  placeholder={t('people.search')}
                  leftSection={<Search size={16} aria-hidden />}
                  value={wanted}
                  onChange={event => setWanted(event.currentTarget.value)}
                />
              )}
              {act.error != null && <Problem error={act.error} />}
              <Table verticalSpacing="xs" horizontalSpacing={6}>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>{t('people.name')}</Table.Th>
                    <Table.Th>{t('people.role')}</Table.Th>
                    <Table.Th>
                      <span className="hidden">{t('people.actions')}</span>
                    </Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {found.slice(0, MAX_SHOWN).map(account => (
                    <Row key={account.id} account={account} roles={roles} act={act.mutate} />
                  ))}
                </Table.Tbody>
              </Table>
              {found.length > MAX_SHOWN && (
                <Text size="sm" c="dimmed" mt="xs">
                  {t('people.more', { n: found.length - MAX_SHOWN })}
                </Text>
              )}
            </>
          )
        }}
      </Asked>
      <LinkDialog invitation={link} close={act.reset} />
    </Card>
  )
}

function Row({ account, roles, act }: { account: Account; roles: string[]; act(action: Action): void }) {
  const { t } = useTexts()
  const [isAsking, setAsking] = useState(false)
  const { name, role, isDisabled, hasPassword, hasSecondFactor } = account
  const path = `/accounts/${encodeURIComponent(account.id)}`
  return (
    <Table.Tr>
      <Table.Td>
        <Text size="sm" fw={500} style={{ overflowWrap: 'anywhere' }}>
          {name}
        </Text>
        <Group gap={4}>
          {isDisabled && <State color="red" text={t('people.disabled')} />}
          {!hasPassword && !isDisabled && <State color="gray" text={t('people.invited')} />}
          {hasSecondFactor && <State color="artel" text={t('people.factor')} />}
        </Group>
      </Table.Td>
      <Table.Td>
        <NativeSelect
          size="xs"
          aria-label={t('people.roleOf', { name })}
          data={roles.includes(role) ? roles : [role, ...roles]}
          value={role}
          onChange={event =>
            act({ path: `${path}/role`, method: 'PUT', body: { role: event.currentTarget.value } })
          }
        />
      </Table.Td>
      <Table.Td ta="end">
        <Menu position="bottom-end" onClose={() => setAsking(false)}>
          <Menu.Target>
            <ActionIcon variant="default" aria-label={t('people.actionsOf', { name })}>
              <EllipsisVertical size={16} aria-hidden />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item onClick={() => act({ path: `${path}/reset`, method: 'POST' })}>
              {t('people.reset')}
            </Menu.Item>
            {hasSecondFactor && (
              <Menu.Item onClick={() => act({ path: `${path}/second-factor`, method: 'DELETE' })}>
                {t('people.removeFactor')}
              </Menu.Item>
            )}
            <Menu.Item
              onClick={() => act({ path: `${path}/${isDisabled ? 'enable' : 'disable'}`, method: 'POST' })}
            >
              {t(isDisabled ? 'people.enable' : 'people.disable')}
            </Menu.Item>
            <Menu.Item
              color="red"
              closeMenuOnClick={isAsking}
              onClick={() => (isAsking ? act({ path, method: 'DELETE' }) : setAsking(true))}
            >
              {t(isAsking ? 'people.reallyRemove' : 'people.remove')}
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </Table.Td>
    </Table.Tr>
  )
}

function State({ color, text }: { color: string; text: string }) {
  return (
    <Badge size="sm" color={color} variant="light" tt="none" className={`state-badge state-${color}`}>
      {text}
    </Badge>
  )
}
