import { Button, Group, Text, TextInput, Title } from '@mantine/core'
import { useEffect, useState } from 'react'
import { Confirm, type Question } from '../../host/page/confirm.tsx'
import { RefusedError } from './api.ts'
import type { PartProps } from './part.ts'
import type { Program as Running } from './wire.ts'

const LOOK_MS = 1_000
/** A program that does not work is back within a minute; a node may be slow to copy its databases. */
const PATIENCE_MS = 300_000

/** Which program runs on this node, another in its place, and back; for who owns the node. */
export function Program({ api, words, fail }: PartProps) {
  const { t } = words
  const [now, setNow] = useState<Running>()
  const [before, setBefore] = useState<Running>()
  const [path, setPath] = useState('')
  const [isBusy, setIsBusy] = useState(false)
  const [question, setQuestion] = useState<Question>()
  // a node of before has no such thing
  useEffect(() => void api.program().then(setNow, () => undefined), [api])
  if (now === undefined) return null

  async function change(work: () => Promise<Running>): Promise<void> {
    setIsBusy(true)
    setBefore(undefined)
    try {
      await work()
      const after = await ended(api.program)
      if (after === undefined) throw new Error(t('programUnknown'))
      setBefore(now)
      setNow(after)
    } catch (error) {
      fail(error as Error)
    }
    setIsBusy(false)
  }
  const ask = (title: string, text: string, yes: string, work: () => Promise<Running>): void =>
    setQuestion({ title, text, yes, run: () => void change(work) })
  const { version, former, failed } = now
  return (
    <section className="card" aria-label={t('program')}>
      <Group justify="space-between">
        <Title order={2} size="h4">
          {t('program')}
        </Title>
        {former !== undefined && (
          <Button
            variant="default"
            disabled={isBusy}
            onClick={() =>
              ask(t('rollBackTitle', { version: former }), t('rollBackText'), t('rollBack'), api.rollBack)
            }
          >
            {t('rollBackTo', { version: former })}
          </Button>
        )}
      </Group>
      <Text size="sm">{t('programNow', { version })}</Text>
      <Text size="sm" c="dimmed">
        {t('programText')}
      </Text>
      <Group align="flex-end" gap="sm" mt="xs">
        <TextInput
          label={t('releaseFile')}
          placeholder="/srv/artel-1.2.0.tgz"
          value={path}
          onChange={({ currentTarget }) => setPath(currentTarget.value)}
          maw="100%"
          w={360}
        />
        <Button
          loading={isBusy}
          disabled={path === ''}
          onClick={() => ask(t('updateTitle'), t('updateText'), t('update'), () => api.update(path))}
        >
          {t('update')}
        </Button>
      </Group>
      {isBusy && (
        <Text size="sm" mt="xs" role="status">
          {t('programTried')}
        </Text>
      )}
      {before !== undefined && (
        <Text size="sm" mt="xs" role="status">
          {t('programChanged', { before: before.version, after: version })}
        </Text>
      )}
      {failed !== undefined && (
        <Text size="sm" mt="xs" style={{ overflowWrap: 'anywhere' }}>
          {t('programFailed', { version: failed.version, why: words.whyFailed(failed) })}
        </Text>
      )}
      <Confirm
        question={question}
        close={() => setQuestion(undefined)}
        texts={{ close: t('close'), keep: t('cancel') }}
      />
    </section>
  )
}

/** What the node says once nothing is on trial; it does not answer while it starts. */
async function ended(look: () => Promise<Running>): Promise<Running | undefined> {
  for (const until = Date.now() + PATIENCE_MS; Date.now() < until; ) {
    await new Promise(resolve => setTimeout(resolve, LOOK_MS))
    try {
      const found = await look()
      if (found.trial === undefined) return found
    } catch (error) {
      // another answer than that it is away
      if (error instanceof RefusedError && error.status !== 503) throw error
    }
  }
  return undefined
}
