import { Button, Group, Text } from '@mantine/core'
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react'
import type { PartProps } from './part.ts'
import { playOn } from './play.ts'

const PREVIEW_SECONDS = 10
const LOOKS = { display: 'block', width: '100%', maxWidth: '30rem', marginBlockStart: '0.75rem' } as const

type Part = PartProps & { name: string }

/** What a TV shows: one picture, or video while somebody looks at the page. */
export function Screen(part: Part) {
  const { name, api, words, fail } = part
  const { t } = words
  const [url, show] = usePicture()
  const [isWatching, setWatching] = useState(false)
  const isSeen = useSyncExternalStore(onSeen, () => !document.hidden)
  return (
    <>
      {isWatching && isSeen && <Live {...part} />}
      {!isWatching && url !== undefined && <img src={url} alt={t('picture', { tv: name })} style={LOOKS} />}
      <Group gap="sm" mt="sm">
        {!isWatching && (
          <Button variant="default" onClick={() => void api.picture(name).then(show, fail)}>
            {t('look')}
          </Button>
        )}
        <Button variant="default" onClick={() => setWatching(!isWatching)}>
          {t(isWatching ? 'watching' : 'watch')}
        </Button>
      </Group>
    </>
  )
}

function Live(part: Part) {
  const { name, api, words } = part
  const { t } = words
  const canvas = useRef<HTMLCanvasElement>(null)
  const [why, setWhy] = useState<string>()
  useEffect(() => {
    const left = new AbortController()
    const failed = (error: Error): void => {
      if (!left.signal.aborted) setWhy(error.message)
    }
    if (!('VideoDecoder' in window)) failed(new Error(t('noDecoder')))
    else
      void api
        .live(name, left.signal)
        .then(body => playOn(canvas.current!, body))
        .then(() => failed(new Error(t('videoEnded'))), failed)
    return () => left.abort()
  }, [api, name, t])
  return why === undefined ? (
    <canvas ref={canvas} role="img" aria-label={t('picture', { tv: name })} style={LOOKS} />
  ) : (
    <>
      <Text size="sm" mt="xs" role="status" style={{ overflowWrap: 'anywhere' }}>
        {t('noVideo', { why })}
      </Text>
      <Preview {...part} />
    </>
  )
}

function Preview({ name, api, words: { t }, fail }: Part) {
  const [url, show] = usePicture()
  useEffect(() => {
    // one picture is enough for all who look
    const look = (): void => void api.picture(name, PREVIEW_SECONDS - 1).then(show, fail)
    look()
    const timer = window.setInterval(look, PREVIEW_SECONDS * 1000)
    return () => window.clearInterval(timer)
  }, [api, name, show, fail])
  return url === undefined ? null : <img src={url} alt={t('picture', { tv: name })} style={LOOKS} />
}

function usePicture(): [string | undefined, (blob: Blob) => void] {
  const [url, setUrl] = useState<string>()
  useEffect(() => () => void (url !== undefined && URL.revokeObjectURL(url)), [url])
  return [url, useCallback(blob => setUrl(URL.createObjectURL(blob)), [])]
}

function onSeen(changed: () => void): () => void {
  document.addEventListener('visibilitychange', changed)
  return () => document.removeEventListener('visibilitychange', changed)
}
