import { Button, Checkbox, FileButton, Group, Text, Title } from '@mantine/core'
import { useState } from 'react'
import { keep } from './bytes.ts'
import type { PartProps } from './part.ts'
import type { CarriedIn } from './wire.ts'

const NAME = 'school.mail'

/** Mail for where the network does not reach, as a file that a person carries. */
export function Carry({ api, words, fail, changed }: PartProps & { changed(): void }) {
  const { t } = words
  const [files, setFiles] = useState(true)
  const [taken, setTaken] = useState<CarriedIn>()
  const [busy, setBusy] = useState<'out' | 'in'>()

  async function press(is: 'out' | 'in', work: () => Promise<void>): Promise<void> {
    setBusy(is)
    setTaken(undefined)
    await work().catch(fail)
    setBusy(undefined)
  }
  const takeIn = (file: File | null): void => {
    if (file === null) return
    void press('in', async () => {
      const all = await api.carryIn(file)
      setTaken(all)
      changed()
      if (all.fault !== undefined) throw new Error(all.fault)
    })
  }
  return (
    <section className="card" aria-label={t('carry')}>
      <Title order={2} size="h4" mb="xs">
        {t('carry')}
      </Title>
      <Text size="sm" c="dimmed" mb="xs">
        {t('carryText')}
      </Text>
      <Group gap="sm">
        <Button
          variant="default"
          loading={busy === 'out'}
          onClick={() => void press('out', async () => keep(NAME, await api.carryOut(files)))}
        >
          {t('carryOut')}
        </Button>
        <FileButton onChange={takeIn}>
          {props => (
            <Button {...props} variant="default" loading={busy === 'in'}>
              {t('carryIn')}
            </Button>
          )}
        </FileButton>
        <Checkbox
          label={t('carryFiles')}
          checked={files}
          onChange={({ currentTarget }) => setFiles(currentTarget.checked)}
        />
      </Group>
      {taken !== undefined && (
        <Text size="sm" role="status" mt="xs">
          {t('carriedIn', { envelopes: taken.envelopes, statements: taken.statements })}
        </Text>
      )}
    </section>
  )
}
