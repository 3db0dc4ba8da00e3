import { Button, Group, Stack, TextInput } from '@mantine/core'
import { useCallback, useState } from 'react'
import { RemoveButton, Row, Rows } from '../../host/page/rows.tsx'
import type { PartProps } from './part.ts'
import { useLoaded } from './use-loaded.ts'

const REFRESH_MS = 10_000

export function Snapshots({ vm, api, words, listen, fail, ask, act }: PartProps) {
  const { t, time } = words
  const [name, setName] = useState('')
  const failed = useCallback((error: Error) => fail(vm, error), [fail, vm])
  const load = useCallback(() => api.snapshots(vm), [api, vm])
  const { value, reload } = useLoaded(load, listen, failed, REFRESH_MS)

  return (
    <Stack gap="md">
      <form
        onSubmit={event => {
          event.preventDefault()
          setName('')
          void act(api.snapshot(vm, name.trim())).then(reload)
        }}
      >
        <Group align="flex-end" gap="sm">
          <TextInput
            style={{ flex: '1 1 10rem' }}
            label={t('snapshotName')}
            required
            maxLength={63}
            value={name}
            onChange={({ currentTarget }) => setName(currentTarget.value)}
          />
          <Button type="submit">{t('take')}</Button>
        </Group>
      </form>
      {value !== undefined && (
        <Rows label={t('snapshots')} empty={t('noSnapshots')}>
          {value.snapshots.map(({ name: title, at, isScheduled }) => (
            <Row key={title} title={title} detail={`${time(at)}${isScheduled ? ` · ${t('scheduled')}` : ''}`}>
              <Button
                size="xs"
                variant="default"
                aria-label={t('rollbackOf', { name: title })}
                onClick={() =>
                  ask({
                    title: t('rollbackTitle', { id: vm, name: title }),
                    text: t('rollbackText'),
                    yes: t('rollback'),
                    run: () => void act(api.rollback(vm, title))
                  })
                }
              >
                {t('rollback')}
              </Button>
              <RemoveButton
                label={t('forgetOf', { name: title })}
                onClick={() =>
                  ask({
                    title: t('forgetTitle', { name: title }),
                    text: t('forgetText'),
                    yes: t('remove'),
                    run: () => void act(api.forget(vm, title)).then(reload)
                  })
                }
              />
            </Row>
          ))}
        </Rows>
      )}
    </Stack>
  )
}
