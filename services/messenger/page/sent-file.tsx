import { Button, Group, Text, UnstyledButton } from '@mantine/core'
import { Download } from 'lucide-react'
import { useEffect, useState } from 'react'
import { blobOf, download } from './bytes.ts'
import type { PartProps } from './part.ts'
import type { Line, SentFile as Sent } from './wire.ts'

/** What is worth looking into by itself; whether it is a picture its content decides. */
const LIKE_PICTURES = /\.(png|jpe?g|gif|webp|svg|avif|bmp|heic)$/i

/** A picture, or something to keep. */
export function SentFile({ line, api, words, fail }: PartProps & { line: Line }) {
  const { t, bytes } = words
  const { name, size } = line.file!
  const isLike = LIKE_PICTURES.test(name)
  const [sent, setSent] = useState<Sent>()
  const [url, setUrl] = useState<string>()
  const [isBusy, setIsBusy] = useState(false)

  useEffect(() => {
    if (!isLike) return undefined
    let made: string | undefined
    let isGone = false
    api.file(line.id).then(found => {
      if (isGone) return
      setSent(found)
      if (found.picture === undefined) return
      made = URL.createObjectURL(blobOf(found.bytes, found.picture))
      setUrl(made)
    }, fail)
    return () => {
      isGone = true
      if (made !== undefined) URL.revokeObjectURL(made)
    }
  }, [api, line.id, isLike, fail])

  async function keep(): Promise<void> {
    setIsBusy(true)
    try {
      download(name, (sent ?? (await api.file(line.id))).bytes)
    } catch (error) {
      fail(error as Error)
    }
    setIsBusy(false)
  }

  return (
    <>
      {url !== undefined && (
        <UnstyledButton onClick={() => void keep()} title={t('download', { name })}>
          <img
            src={url}
            alt={name}
            style={{ maxWidth: '100%', maxHeight: '18rem', borderRadius: '0.5rem', display: 'block' }}
            onError={() => setUrl(undefined)}
          />
        </UnstyledButton>
      )}
      <Group gap="xs">
        <Text size="sm" style={{ overflowWrap: 'anywhere', minWidth: 0 }}>
          <bdi>{name}</bdi> · {bytes(size)}
        </Text>
        <Button
          size="compact-sm"
          variant="default"
          loading={isBusy}
          leftSection={<Download size={14} aria-hidden />}
          aria-label={t('download', { name })}
          onClick={() => void keep()}
        >
          {t('keepFile')}
        </Button>
      </Group>
      {isLike && sent !== undefined && url === undefined && (
        <Text size="xs" c="dimmed">
          {t('noPicture')}
        </Text>
      )}
    </>
  )
}
