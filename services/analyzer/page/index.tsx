import { Alert, Anchor, Progress as Bar, Button, Stack, Text, Title } from '@mantine/core'
import { useEffect, useMemo, useRef, useState } from 'react'
import { type Counted, count, type PageProps, type Progress, type Question } from './api.ts'
import { Histogram } from './histogram.tsx'
import { QuestionForm } from './question.tsx'
import { barsOf, singleOf } from './rows.ts'
import { createWords, type Words } from './words.ts'

interface Run {
  preset: string
  progress?: Progress
  answer?: Counted
}

/** Asks the presets, or a function of one's own, and shows what there is so far. */
export default function AnalyzerPage({ language, request }: PageProps) {
  const words = useMemo(() => createWords(language), [language])
  const { t, number } = words
  const [run, setRun] = useState<Run>()
  const [isRunning, setIsRunning] = useState(false)
  const [failure, setFailure] = useState<string>()
  const running = useRef<AbortController>(null)
  useEffect(() => () => running.current?.abort(), [])

  async function ask(question: Question): Promise<void> {
    const controller = new AbortController()
    running.current?.abort()
    running.current = controller
    setFailure(undefined)
    setRun({ preset: question.preset })
    setIsRunning(true)
    try {
      const answer = await count(request, question, {
        signal: controller.signal,
        onProgress: progress => setRun({ preset: question.preset, progress })
      })
      setRun({ preset: question.preset, answer })
    } catch (error) {
      if (running.current !== controller) return
      setFailure(controller.signal.aborted ? t('stopped') : (error as Error).message)
    }
    if (running.current === controller) setIsRunning(false)
  }

  return (
    <Stack gap="md" mb="md">
      <Text c="dimmed" size="sm">
        {t('lead')}
      </Text>
      <section className="card">
        <QuestionForm words={words} ask={question => void ask(question)} fail={setFailure}>
          {isRunning ? (
            // a button of its own: one that became the other would submit by the same click
            <Button key="stop" color="red.8" onClick={() => running.current?.abort()}>
              {t('stop')}
            </Button>
          ) : (
            <Button key="count" type="submit">
              {t('count')}
            </Button>
          )}
        </QuestionForm>
        {isRunning && (
          <div role="status" aria-label={t('running')}>
            <Text size="sm" mt="sm" mb={6}>
              {t('blocks', {
                done: number(run?.progress?.done ?? 0),
                total: number(run?.progress?.total ?? 0)
              })}
              {' · '}
              {t('leaving')}
            </Text>
            <Bar
              aria-label={t('running')}
              value={((run?.progress?.done ?? 0) / (run?.progress?.total || 1)) * 100}
            />
          </div>
        )}
      </section>
      {failure !== undefined && (
        <Alert
          color="red"
          variant="light"
          role="alert"
          withCloseButton
          closeButtonLabel={t('close')}
          onClose={() => setFailure(undefined)}
        >
          {failure}
        </Alert>
      )}
      {run !== undefined && <Found {...run} words={words} />}
    </Stack>
  )
}

function Found({ preset, progress, answer, words }: Run & { words: Words }) {
  const { t, number, name } = words
  const counted = answer ?? progress?.soFar
  const bars = useMemo(() => counted && barsOf(counted, name), [counted, name])
  if (counted == null) return null
  const title = t(answer == null ? 'soFar' : 'answer')
  return (
    <section className="card" aria-label={title}>
      <Title order={2} size="h5">
        {title}
      </Title>
      <Text size="sm" c="dimmed">
        {t('visited', { visited: number(counted.visited), skipped: number(BigInt(counted.skipped)) })}
        {' · '}
        <Anchor href={`#/jobs/${counted.job}`} underline="always" inherit>
          {t('job')}
        </Anchor>
      </Text>
      {bars != null ? (
        <Histogram bars={bars} words={words} file={`${preset}.csv`} />
      ) : (
        <Text
          component="pre"
          fz="1.5rem"
          fw={650}
          className="num"
          style={{ overflow: 'auto', margin: 0, maxHeight: '28rem', whiteSpace: 'pre-wrap' }}
        >
          {asNumber(singleOf(counted), number)}
        </Text>
      )}
    </section>
  )
}

const asNumber = (text: string, number: Words['number']): string =>
  /^-?\d+$/.test(text) ? number(BigInt(text)) : text
