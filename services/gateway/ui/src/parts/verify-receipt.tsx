import { Alert, Button, DataList, FileButton, Stack, Text } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { FileCheck, ShieldCheck, ShieldX } from 'lucide-react'
import { useState } from 'react'
import { call } from '../api/client.ts'
import type { ReceiptCheck } from '../api/wire.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Id } from './account.tsx'
import { Card, Problem } from './page.tsx'

/** No receipt is longer; what is longer is another file. */
const MAX_BYTES = 12_000

/** A file is dropped or chosen, and the node says whether its signatures hold. */
export function VerifyReceipt() {
  const { t, format } = useTexts()
  const [isOver, setOver] = useState(false)
  const check = useMutation({
    mutationFn: async (file: File) => {
      if (file.size > MAX_BYTES)
        return { valid: false, reason: t('receipt.tooLong', { size: format.bytes(file.size) }) }
      const bytes = new Uint8Array(await file.arrayBuffer())
      const receipt = btoa(String.fromCharCode(...bytes))
      return call<ReceiptCheck>('/receipts/verify', { method: 'POST', body: { receipt } })
    }
  })
  const take = (file: File | null | undefined): void => {
    if (file != null) check.mutate(file)
  }
  return (
    <Card title={t('receipt.title')}>
      <section
        aria-label={t('receipt.title')}
        className="drop"
        data-over={isOver}
        onDragOver={event => {
          event.preventDefault()
          setOver(true)
        }}
        onDragLeave={() => setOver(false)}
        onDrop={event => {
          event.preventDefault()
          setOver(false)
          take(event.dataTransfer.files[0])
        }}
      >
        <Stack align="center" gap="xs">
          <FileCheck size="1.75rem" aria-hidden color="var(--artel-accent)" />
          <Text size="sm">{t('receipt.drop')}</Text>
          <FileButton onChange={take} inputProps={{ 'aria-label': t('receipt.choose') }}>
            {props => (
              <Button {...props} size="xs" variant="default" loading={check.isPending}>
                {t('receipt.choose')}
              </Button>
            )}
          </FileButton>
        </Stack>
      </section>
      <div aria-live="polite">
        {check.error != null && <Problem error={check.error} />}
        {check.data != null && <Verdict {...check.data} name={check.variables?.name ?? ''} />}
      </div>
    </Card>
  )
}

function Verdict({ valid, receipt, reason, name }: ReceiptCheck & { name: string }) {
  const { t, format } = useTexts()
  if (!valid || receipt == null)
    return (
      <Alert
        mt="md"
        color="red"
        variant="light"
        icon={<ShieldX size={20} aria-hidden />}
        title={t('receipt.invalid')}
      >
        <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
          {name}: {reason}
        </Text>
      </Alert>
    )
  return (
    <Alert
      mt="md"
      color="teal"
      variant="light"
      icon={<ShieldCheck size={20} aria-hidden />}
      title={t('receipt.valid')}
    >
      <DataList labelWidth="7rem" gap={4}>
        <DataList.Item>
          <DataList.ItemLabel>{t('receipt.amount')}</DataList.ItemLabel>
          <DataList.ItemValue>{format.credits(receipt.amount)}</DataList.ItemValue>
        </DataList.Item>
        <DataList.Item>
          <DataList.ItemLabel>{t('receipt.job')}</DataList.ItemLabel>
          <DataList.ItemValue>
            {receipt.job} · {receipt.slice}
          </DataList.ItemValue>
        </DataList.Item>
        <DataList.Item>
          <DataList.ItemLabel>{t('job.worker')}</DataList.ItemLabel>
          <DataList.ItemValue>
            <Id id={receipt.worker} />
          </DataList.ItemValue>
        </DataList.Item>
        <DataList.Item>
          <DataList.ItemLabel>{t('receipt.requester')}</DataList.ItemLabel>
          <DataList.ItemValue>
            <Id id={receipt.requester} />
          </DataList.ItemValue>
        </DataList.Item>
      </DataList>
    </Alert>
  )
}
