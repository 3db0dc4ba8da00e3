import { Button, Group, NativeSelect, Stack, Text, TextInput } from '@mantine/core'
import { useCallback, useState } from 'react'
import { RemoveButton, Row, Rows } from '../../host/page/rows.tsx'
import { type GrantRow, RefusedError } from './api.ts'
import type { PartProps } from './part.ts'
import { useLoaded } from './use-loaded.ts'

const REFRESH_MS = 30_000

export function Rights({ vm, api, words: { t }, listen, fail, act }: PartProps) {
  const [peer, setPeer] = useState('')
  const [role, setRole] = useState('viewer')
  const failed = useCallback((error: Error) => fail(vm, error), [fail, vm])
  const load = useCallback(
    () =>
      api.grants(vm).then(
        ({ grants }): GrantRow[] | 'not yours' => grants,
        error => {
          if (error instanceof RefusedError && error.reason === 'ForbiddenError') return 'not yours' as const
          throw error
        }
      ),
    [api, vm]
  )
  const { value: grants, reload } = useLoaded(load, listen, failed, REFRESH_MS)

  if (grants === undefined) return null
  if (grants === 'not yours') return <Text size="sm">{t('notYours')}</Text>
  return (
    <Stack gap="md">
      <form
        onSubmit={event => {
          event.preventDefault()
          setPeer('')
          void act(api.grant(vm, peer.trim(), role)).then(reload)
        }}
      >
        <Group align="flex-end" gap="sm">
          <TextInput
            style={{ flex: '1 1 14rem' }}
            label={t('peer')}
            required
            maxLength={100}
            value={peer}
            onChange={({ currentTarget }) => setPeer(currentTarget.value)}
          />
          <NativeSelect
            label={t('role')}
            value={role}
            onChange={({ currentTarget }) => setRole(currentTarget.value)}
            data={[
              { value: 'viewer', label: t('viewer') },
              { value: 'operator', label: t('operator') }
            ]}
          />
          <Button type="submit">{t('give')}</Button>
        </Group>
      </form>
      <Rows label={t('rights')} empty={t('noRights')}>
        {grants.map(grant => (
          <Row
            key={grant.peer}
            title={grant.peer}
            detail={t(grant.role === 'operator' ? 'operator' : 'viewer')}
          >
            <RemoveButton
              label={t('takeAwayOf', { peer: grant.peer })}
              onClick={() => void act(api.grant(vm, grant.peer, 'none')).then(reload)}
            />
          </Row>
        ))}
      </Rows>
    </Stack>
  )
}
