import { Button, Group, List, Text, TextInput, Title } from '@mantine/core'
import { useState } from 'react'
import type { PartProps } from './part.ts'
import type { Certified } from './wire.ts'

/** A certificate for the listener, by an authority of the school's own. */
export function Certificate({ api, words, fail }: PartProps) {
  const { t, time } = words
  const [addresses, setAddresses] = useState('')
  const [made, setMade] = useState<Certified>()
  const [isBusy, setIsBusy] = useState(false)
  async function make(): Promise<void> {
    setIsBusy(true)
    await api.certify(addresses.split(/[\s,]+/).filter(each => each !== '')).then(setMade, fail)
    setIsBusy(false)
  }
  return (
    <section className="card" aria-label={t('certificate')}>
      <Title order={2} size="h4">
        {t('certificate')}
      </Title>
      <Text size="sm" c="dimmed" mb="xs">
        {t('certificateText')}
      </Text>
      <form
        onSubmit={event => {
          event.preventDefault()
          void make()
        }}
      >
        <Group align="flex-end" gap="sm">
          <TextInput
            style={{ flex: '1 1 12rem' }}
            label={t('certificateAddresses')}
            placeholder="192.168.1.100"
            value={addresses}
            onChange={({ currentTarget }) => setAddresses(currentTarget.value)}
          />
          <Button type="submit" variant="default" loading={isBusy}>
            {t('makeCertificate')}
          </Button>
        </Group>
      </form>
      {made !== undefined && (
        <>
          <Text size="sm" role="status" mt="sm">
            {t('certificateMade', { addresses: made.addresses.join(', '), at: time(made.until) })}
          </Text>
          <List type="ordered" size="sm" spacing="xs" style={{ overflowWrap: 'anywhere' }}>
            <List.Item>{t('certificateTrust', { file: made.authority, sha256: made.sha256 })}</List.Item>
            <List.Item>{t('certificateRestart')}</List.Item>
          </List>
        </>
      )}
    </section>
  )
}
