import { Button, Group, NumberInput, Stack, TextInput } from '@mantine/core'
import { useState } from 'react'
import { RemoveButton, Row, Rows } from '../../host/page/rows.tsx'
import type { PartProps } from './part.ts'

export function Disks({ vm, machine, api, words: { t }, ask, act }: PartProps) {
  const [id, setId] = useState('')
  const [sizeGb, setSizeGb] = useState<number | string>(10)
  return (
    <Stack gap="md">
      <form
        onSubmit={event => {
          event.preventDefault()
          setId('')
          void act(api.addDisk(id.trim(), vm, Number(sizeGb)))
        }}
      >
        <Group align="flex-end" gap="sm">
          <TextInput
            style={{ flex: '1 1 10rem' }}
            label={t('diskName')}
            required
            maxLength={63}
            value={id}
            onChange={({ currentTarget }) => setId(currentTarget.value)}
          />
          <NumberInput label={t('diskSize')} min={1} value={sizeGb} onChange={setSizeGb} w="8rem" />
          <Button type="submit">{t('addDisk')}</Button>
        </Group>
      </form>
      <Rows label={t('disks')} empty={t('noDisks')}>
        {machine.disks.map(disk => (
          <Row key={disk.id} title={disk.id} detail={t('diskRow', { size: disk.sizeGb })}>
            <RemoveButton
              label={t('removeDiskOf', { id: disk.id })}
              onClick={() =>
                ask({
                  title: t('removeDiskTitle', { id: disk.id }),
                  text: t('removeDiskText'),
                  yes: t('remove'),
                  run: () => void act(api.removeDisk(disk.id))
                })
              }
            />
          </Row>
        ))}
      </Rows>
    </Stack>
  )
}
