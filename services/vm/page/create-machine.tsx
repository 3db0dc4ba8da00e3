import { Button, Group, Modal, NumberInput, SegmentedControl, Stack, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { Api } from './api.ts'
import type { Words } from './words.ts'

type Boot = 'disk' | 'image' | 'kernel'

/** A name may have 63 characters. */
const diskOf = (machine: string, kind: string): string => `${machine.slice(0, 62 - kind.length)}-${kind}`

interface CreateMachineProps {
  isOpen: boolean
  /** files of this computer are for machines of this computer */
  isHere: boolean
  api: Api
  words: Words
  close(): void
  created(id: string): void
  fail(what: string, error: unknown): void
}

export function CreateMachine({ isOpen, isHere, api, words, close, created, fail }: CreateMachineProps) {
  const { t } = words
  const [id, setId] = useState('')
  const [ramMb, setRamMb] = useState<number | string>(1024)
  const [cpu, setCpu] = useState<number | string>(1)
  const [diskGb, setDiskGb] = useState<number | string>(10)
  const [boot, setBoot] = useState<Boot>('disk')
  const [image, setImage] = useState('')
  const [kernel, setKernel] = useState('')
  const [initrd, setInitrd] = useState('')
  const [isBusy, setIsBusy] = useState(false)
  const from = isHere ? boot : 'disk'

  async function create(): Promise<void> {
    const name = id.trim()
    setIsBusy(true)
    try {
      await api.create(name, Number(ramMb), Number(cpu))
      created(name)
      close()
      setId('')
      // the image is the first disk
      if (from === 'image') await api.importDisk(name, diskOf(name, 'system'), image)
      else if (Number(diskGb) > 0) await api.addDisk(diskOf(name, 'disk'), name, Number(diskGb))
      if (from === 'kernel') await api.boot(name, kernel, initrd)
      created(name)
    } catch (error) {
      fail(name, error)
    } finally {
      setIsBusy(false)
    }
  }

  return (
    <Modal
      opened={isOpen}
      onClose={close}
      title={t('newMachine')}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <form
        onSubmit={event => {
          event.preventDefault()
          void create()
        }}
      >
        <Stack gap="sm">
          <TextInput
            label={t('id')}
            description={t('idHint')}
            required
            maxLength={63}
            value={id}
            onChange={({ currentTarget }) => setId(currentTarget.value)}
            data-autofocus
          />
          <Group grow>
            <NumberInput label={t('ram')} min={16} value={ramMb} onChange={setRamMb} />
            <NumberInput label={t('cpu')} min={1} value={cpu} onChange={setCpu} />
          </Group>
          {isHere && (
            <div>
              <Text size="sm" fw={500} mb={4}>
                {t('boot')}
              </Text>
              <SegmentedControl
                fullWidth
                orientation="vertical"
                aria-label={t('boot')}
                value={boot}
                onChange={value => setBoot(value as Boot)}
                data={[
                  { value: 'disk', label: t('bootDisk') },
                  { value: 'image', label: t('bootImage') },
                  { value: 'kernel', label: t('bootKernel') }
                ]}
              />
            </div>
          )}
          {from === 'image' ? (
            <TextInput
              label={t('image')}
              required
              value={image}
              onChange={({ currentTarget }) => setImage(currentTarget.value)}
            />
          ) : (
            <NumberInput label={t('disk')} min={0} value={diskGb} onChange={setDiskGb} />
          )}
          {from === 'kernel' && (
            <>
              <TextInput
                label={t('kernel')}
                required
                value={kernel}
                onChange={({ currentTarget }) => setKernel(currentTarget.value)}
              />
              <TextInput
                label={t('initrd')}
                value={initrd}
                onChange={({ currentTarget }) => setInitrd(currentTarget.value)}
              />
            </>
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {t('keep')}
            </Button>
            <Button type="submit" loading={isBusy}>
              {t('create')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
