import { ActionIcon, Button, Group, Image, Modal, Stack, Text, Textarea } from '@mantine/core'
import { Copy, Download, Eye, Trash2 } from 'lucide-react'
import { type ReactNode, useEffect, useState } from 'react'
import type { Api, FileRow, Preview } from './api.ts'
import type { Words } from './words.ts'

interface FileListProps {
  /** undefined: not known yet */
  rows: FileRow[] | undefined
  words: Words
  api: Api
  fail(file: string, error: unknown): void
  changed(): void
  /** the next page, where there is one */
  more: (() => Promise<void>) | undefined
}

export function FileList({ rows, words, api, fail, changed, more }: FileListProps) {
  const { t, bytes } = words
  const [shown, setShown] = useState<FileRow>()
  const [doomed, setDoomed] = useState<FileRow>()
  const nameOf = ({ names }: FileRow): string => names[0]?.name ?? t('noName')
  const run = (file: FileRow, work: Promise<unknown>): void =>
    void work.catch((error: Error) => fail(nameOf(file), error))

  if (rows == null) return null
  if (rows.length === 0)
    return (
      <section className="card">
        <Text fw={600}>{t('empty')}</Text>
        <Text size="sm" c="dimmed">
          {t('emptyText')}
        </Text>
      </section>
    )
  return (
    <section className="card" aria-label={t('list')}>
      <ul style={{ listStyle: 'none', margin: 0, padding: 0 }}>
        {rows.map(row => {
          const name = nameOf(row)
          return (
            <li
              key={row.cid}
              style={{ paddingBlock: '0.5rem', borderBlockEnd: '1px solid var(--artel-line)' }}
            >
              <Group justify="space-between" gap="xs">
                <div style={{ minWidth: 0, flex: '1 1 10rem' }}>
                  <Text fw={600} style={{ overflowWrap: 'anywhere' }}>
                    {name}
                  </Text>
                  <Text size="xs" c="dimmed">
                    {row.type === 'folder' ? `${t('folder')} · ` : ''}
                    {bytes(row.size)}
                    {row.replicas.wanted > 0 && ` · ${t('copiesOf', row.replicas)}`}
                  </Text>
                </div>
                <Group gap={4} wrap="nowrap">
                  <Action label={t('preview', { name })} onClick={() => setShown(row)}>
                    <Eye size={18} aria-hidden />
                  </Action>
                  {row.type === 'file' && (
                    <Action label={t('download', { name })} onClick={() => run(row, api.download(row))}>
                      <Download size={18} aria-hidden />
                    </Action>
                  )}
                  <Action
                    label={t('copy', { name })}
                    onClick={() => run(row, navigator.clipboard.writeText(row.cid))}
                  >
                    <Copy size={18} aria-hidden />
                  </Action>
                  <Action label={t('unpin', { name })} onClick={() => setDoomed(row)}>
                    <Trash2 size={18} aria-hidden />
                  </Action>
                </Group>
              </Group>
            </li>
          )
        })}
      </ul>
      {more != null && (
        <Button
          mt="sm"
          variant="default"
          onClick={() => void more().catch((error: Error) => fail(t('list'), error))}
        >
          {t('more')}
        </Button>
      )}
      {shown != null && (
        <PreviewModal
          row={shown}
          name={nameOf(shown)}
          words={words}
          api={api}
          onClose={() => setShown(undefined)}
        />
      )}
      <Modal
        opened={doomed != null}
        onClose={() => setDoomed(undefined)}
        title={doomed && t('unpinTitle', { name: nameOf(doomed) })}
        closeButtonProps={{ 'aria-label': t('close') }}
      >
        <Text size="sm">{t('unpinText')}</Text>
        <Group mt="md" justify="flex-end">
          <Button variant="default" onClick={() => setDoomed(undefined)} data-autofocus>
            {t('no')}
          </Button>
          <Button
            color="red.8"
            onClick={() => {
              const file = doomed!
              setDoomed(undefined)
              run(file, api.unpin(file.cid).then(changed))
            }}
          >
            {t('yes')}
          </Button>
        </Group>
      </Modal>
    </section>
  )
}

function Action({ label, onClick, children }: { label: string; onClick(): void; children: ReactNode }) {
  return (
    <ActionIcon variant="subtle" size="lg" color="gray" aria-label={label} title={label} onClick={onClick}>
      {children}
    </ActionIcon>
  )
}

function PreviewModal({
  row,
  name,
  words: { t, bytes },
  api,
  onClose
}: {
  row: FileRow
  name: string
  words: Words
  api: Api
  onClose(): void
}) {
  const [preview, setPreview] = useState<Preview | Error>()
  useEffect(() => {
    let url: string | undefined
    let isGone = false
    api.preview(row).then(
      found => {
        if (found.kind === 'picture') url = found.url
        if (isGone && url != null) URL.revokeObjectURL(url)
        else setPreview(found)
      },
      (error: Error) => setPreview(error)
    )
    return () => {
      isGone = true
      if (url != null) URL.revokeObjectURL(url)
    }
  }, [api, row])
  return (
    <Modal opened onClose={onClose} title={name} size="lg" closeButtonProps={{ 'aria-label': t('close') }}>
      {preview instanceof Error ? (
        <Text>{preview.message}</Text>
      ) : preview?.kind === 'picture' ? (
        <Image src={preview.url} alt={name} fit="contain" mah="70vh" />
      ) : preview?.kind === 'text' ? (
        <Stack gap="xs">
          {preview.isCut && (
            <Text size="sm">{t('cut', { shown: bytes(65_536), size: bytes(row.size) })}</Text>
          )}
          <Textarea readOnly autosize maxRows={24} aria-label={name} value={preview.text} />
        </Stack>
      ) : preview == null ? null : (
        <Text>{t('noPreview')}</Text>
      )}
    </Modal>
  )
}
