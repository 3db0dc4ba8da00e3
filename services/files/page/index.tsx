import { Alert, Button, Group, NumberInput, Progress, Stack, Text, TextInput } from '@mantine/core'
import { Upload } from 'lucide-react'
import { type DragEvent, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { createApi, type FileRow, type PageProps, type Status } from './api.ts'
import { FileList } from './file-list.tsx'
import { createWords } from './words.ts'

/** How often the copies of the files that are seen are looked at, where nothing is told. */
const REFRESH_MS = 5_000

export default function FilesPage({ language, request, listen }: PageProps) {
  const api = useMemo(() => createApi(request), [request])
  const words = useMemo(() => createWords(language), [language])
  const { t, bytes } = words
  const [rows, setRows] = useState<FileRow[]>()
  const [next, setNext] = useState<string>()
  const [status, setStatus] = useState<Status>()
  const [replicas, setReplicas] = useState(0)
  const [wanted, setWanted] = useState('')
  const [failures, setFailures] = useState<string[]>([])
  const [isOver, setIsOver] = useState(false)
  const input = useRef<HTMLInputElement>(null)

  const fail = useCallback(
    (file: string, error: unknown) =>
      setFailures(before => [...before.slice(-4), t('failed', { file, reason: (error as Error).message })]),
    [t]
  )
  const refresh = useCallback(async () => {
    try {
      const [page, now] = await Promise.all([api.list(), api.status()])
      setRows(page.items)
      setNext(page.next)
      setStatus(now)
    } catch (error) {
      fail(t('list'), error)
    }
  }, [api, fail, t])

  useEffect(() => {
    void refresh()
    const timer = window.setInterval(() => void refresh(), REFRESH_MS)
    const stop = listen(event => {
      if (event?.type === 'files:transfers')
        setStatus(before => before && { ...before, ...(event.value as Pick<Status, 'transfers'>) })
      else void refresh()
    })
    return () => {
      window.clearInterval(timer)
      stop()
    }
  }, [refresh, listen])

  async function upload(files: Iterable<File>): Promise<void> {
    for (const file of files) {
      try {
        await api.upload(file, replicas)
      } catch (error) {
        fail(file.name, error)
      }
      await refresh()
    }
  }

  async function fetchOne(): Promise<void> {
    const file = wanted.trim()
    if (file === '') return
    setWanted('')
    try {
      await api.fetch(file, replicas)
    } catch (error) {
      fail(file, error)
    }
    await refresh()
  }

  function drop(event: DragEvent): void {
    event.preventDefault()
    setIsOver(false)
    void upload(event.dataTransfer.files)
  }

  return (
    <Stack gap="md" mb="md">
      <Text c="dimmed" size="sm">
        {t('lead')}
      </Text>
      <section
        className="card"
        aria-label={t('drop')}
        onDragOver={event => {
          event.preventDefault()
          setIsOver(true)
        }}
        onDragLeave={() => setIsOver(false)}
        onDrop={drop}
        style={{ borderStyle: 'dashed', borderColor: isOver ? 'var(--artel-accent)' : undefined }}
      >
        <Stack align="center" gap="sm" py="md">
          <Upload size={28} aria-hidden />
          <Text>{t('drop')}</Text>
          <input
            ref={input}
            type="file"
            multiple
            hidden
            aria-hidden
            onChange={({ currentTarget }) => {
              void upload([...(currentTarget.files ?? [])])
              currentTarget.value = ''
            }}
          />
          <Button onClick={() => input.current?.click()}>{t('choose')}</Button>
        </Stack>
        <Group align="flex-end" gap="sm">
          <NumberInput
            label={t('replicas')}
            min={0}
            max={100}
            value={replicas}
            onChange={value => setReplicas(Number(value) || 0)}
            w="12rem"
          />
          <form
            style={{ flex: '1 1 16rem' }}
            onSubmit={event => {
              event.preventDefault()
              void fetchOne()
            }}
          >
            <Group align="flex-end" gap="sm" wrap="nowrap">
              <TextInput
                style={{ flex: 1 }}
                label={t('orFetch')}
                value={wanted}
                onChange={({ currentTarget }) => setWanted(currentTarget.value)}
              />
              <Button type="submit" variant="default">
                {t('fetch')}
              </Button>
            </Group>
          </form>
        </Group>
      </section>
      {failures.map(failure => (
        <Alert key={failure} color="red" variant="light" role="alert">
          {failure}
        </Alert>
      ))}
      {status?.transfers.map(({ id, what, file, done, total }) => (
        <div key={id}>
          <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
            {t(what === 'add' ? 'adding' : 'fetching', { file })} · {bytes(done)}
          </Text>
          <Progress
            aria-label={t(what === 'add' ? 'adding' : 'fetching', { file })}
            value={total == null || total === 0 ? 100 : Math.min(100, (100 * done) / total)}
            animated={total == null}
          />
        </div>
      ))}
      {status != null && (
        <Text size="sm" c="dimmed">
          {t('used', { used: bytes(status.usage.own), quota: bytes(status.quota.own) })} ·{' '}
          {t('lent', { used: bytes(status.usage.lent), quota: bytes(status.quota.lent) })}
        </Text>
      )}
      <FileList
        rows={rows}
        words={words}
        api={api}
        fail={fail}
        changed={() => void refresh()}
        more={
          next == null
            ? undefined
            : async () => {
                const page = await api.list(next)
                setRows(before => [...(before ?? []), ...page.items])
                setNext(page.next)
              }
        }
      />
    </Stack>
  )
}
