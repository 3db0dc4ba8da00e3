import { Alert, Badge, Button, Group, Kbd, SimpleGrid, Skeleton, Stack, Text } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { Calculator, Play } from 'lucide-react'
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from 'react'
import { call } from '../api/client.ts'
import { useSpec, useTypes } from '../api/queries.ts'
import type { QuoteView, Submitted, TaskType } from '../api/wire.ts'
import { EXAMPLES } from '../compose/examples.ts'
import { readSpec, SpecTextError } from '../compose/read-spec.ts'
import { writeSpec } from '../compose/write-spec.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Card, Figure, Loading, PageHead, Problem } from '../parts/page.tsx'
import { JobView } from './job.tsx'

const Editor = lazy(() => import('../compose/editor.tsx'))
const DRAFT = 'artel.draft'

/** `from`: a job whose spec is the beginning. */
export default function ComposePage({ from }: { from: string | undefined }) {
  return from == null ? <Compose start={draft()} /> : <Again job={from} />
}

const draft = (): string => sessionStorage.getItem(DRAFT) ?? EXAMPLES[0]!.code

function Again({ job }: { job: string }) {
  const spec = useSpec(job)
  if (spec.error != null) return <Problem error={spec.error} retry={() => void spec.refetch()} />
  return spec.data == null ? <Loading /> : <Compose start={`${writeSpec(spec.data)}\n`} />
}

function Compose({ start }: { start: string }) {
  const { t } = useTexts()
  const [text, setText] = useState(start)
  const [job, setJob] = useState<string>()
  const { data: types } = useTypes()
  const words = useMemo(() => wordsOf(types ?? []), [types])
  const watch = useRef<HTMLDivElement>(null)
  // the same key again after a lost answer: one job, not two
  const attempt = useRef({ text: '', key: '' })
  useEffect(() => sessionStorage.setItem(DRAFT, text), [text])

  const quote = useMutation({
    mutationFn: async (source: string) =>
      call<QuoteView>('/quote', { method: 'POST', body: readSpec(source) })
  })
  const run = useMutation({
    mutationFn: async (source: string) => {
      const spec = readSpec(source)
      if (attempt.current.text !== source) attempt.current = { text: source, key: randomKey() }
      const isBatch = Array.isArray(spec)
      return call<Submitted>(isBatch ? '/tasks/batch' : '/tasks', {
        method: 'POST',
        body: isBatch ? { specs: spec } : spec,
        headers: { 'idempotency-key': attempt.current.key }
      })
    },
    onSuccess: ({ job }) => {
      attempt.current = { text: '', key: '' }
      setJob(job.job)
    }
  })
  useEffect(() => {
    if (job != null) watch.current?.scrollIntoView({ block: 'nearest', behavior: 'smooth' })
  }, [job])

  const submit = () => run.mutate(text)
  const error = run.error ?? quote.error
  return (
    <>
      <PageHead title={t('nav.compose')} lead={t('compose.lead')} />
      <div className="compose-grid">
        <Gallery
          chosen={text}
          types={types ?? []}
          onChoose={code => {
            setText(code)
            quote.reset()
            run.reset()
          }}
        />
        <Stack gap="md" style={{ minWidth: 0 }}>
          <Suspense fallback={<Skeleton height="18rem" />}>
            <Editor
              value={text}
              onChange={setText}
              onRun={submit}
              label={t('compose.editor')}
              words={words}
            />
          </Suspense>
          <Group justify="space-between" gap="sm">
            <Group gap="sm">
              <Button leftSection={<Play size={16} aria-hidden />} loading={run.isPending} onClick={submit}>
                {t('compose.run')}
              </Button>
              <Button
                variant="default"
                leftSection={<Calculator size={16} aria-hidden />}
                loading={quote.isPending}
                onClick={() => quote.mutate(text)}
              >
                {t('compose.quote')}
              </Button>
            </Group>
            <Text size="xs" c="dimmed" visibleFrom="sm">
              <Kbd>Ctrl</Kbd> + <Kbd>Enter</Kbd> {t('compose.shortcut')}
            </Text>
          </Group>
          <div aria-live="polite">
            {error != null && <ComposeProblem error={error} text={text} />}
            {quote.data != null && <Quote {...quote.data} />}
          </div>
          {job != null && (
            <section ref={watch} aria-label={t('compose.watch')}>
              <JobView key={job} job={job} isCompact />
            </section>
          )}
        </Stack>
      </div>
    </>
  )
}

function ComposeProblem({ error, text }: { error: Error; text: string }) {
  const { t } = useTexts()
  if (!(error instanceof SpecTextError)) return <Problem error={error} />
  const line = text.slice(0, error.from).split('\n').length
  return (
    <Alert role="alert" color="red" variant="light" title={t('compose.line', { n: line })}>
      {error.message}
    </Alert>
  )
}

interface GalleryProps {
  chosen: string
  types: TaskType[]
  onChoose(code: string): void
}

function Gallery({ chosen, types, onChoose }: GalleryProps) {
  const { t } = useTexts()
  const shown = new Set(EXAMPLES.map(({ code }) => /type: '(\w+)'/.exec(code)?.[1]))
  const others = types.filter(({ type }) => !shown.has(type))
  return (
    <nav aria-label={t('compose.gallery')} className="gallery">
      {EXAMPLES.map(({ id, title, text, code }) => (
        <button
          key={id}
          type="button"
          className="example"
          aria-pressed={chosen === code}
          onClick={() => onChoose(code)}
        >
          <Text size="sm" fw={600} component="span" display="block">
            {t(title)}
          </Text>
          <Text size="xs" c="dimmed" component="span">
            {t(text)}
          </Text>
        </button>
      ))}
      {others.length > 0 && (
        <details className="more">
          <summary>{t('compose.more')}</summary>
          <div className="gallery-more">
            {others.map(({ type, example, description }) => {
              const code = `${writeSpec(example)}\n`
              return (
                <button
                  key={type}
                  type="button"
                  className="example"
                  aria-pressed={chosen === code}
                  onClick={() => onChoose(code)}
                >
                  <Text size="sm" fw={600} component="span" display="block" ff="monospace">
                    {type}
                  </Text>
                  <Text size="xs" c="dimmed" component="span" lang="en">
                    {description}
                  </Text>
                </button>
              )
            })}
          </div>
        </details>
      )}
    </nav>
  )
}

const FACTORS = ['market', 'scarcity', 'reputation', 'multiplier', 'verification', 'priority'] as const

function Quote({ quote, forecast }: QuoteView) {
  const { t, format } = useTexts()
  const factors = FACTORS.filter(name => quote.factors[name] !== 1)
  return (
    <Card title={t('quote.title')}>
      <SimpleGrid cols={{ base: 2, sm: 4 }}>
        <Figure
          label={t('quote.expected')}
          value={format.credits(quote.expected, 4)}
          hint={t(`quote.basis.${quote.basis}`)}
        />
        <Figure label={t('quote.bound')} value={format.credits(quote.bound, 4)} hint={t('quote.boundHint')} />
        <Figure label={t('quote.cpu')} value={quote.cpuMs == null ? '–' : format.duration(quote.cpuMs)} />
        <Figure
          label={t('quote.forecast')}
          value={`× ${format.number(forecast.inOneHour.level, 2)}`}
          hint={t('quote.forecastNow', { level: format.number(forecast.now, 2) })}
        />
      </SimpleGrid>
      {factors.length > 0 && (
        <Group gap="xs" mt="sm">
          {factors.map(name => (
            <Badge key={name} variant="default" tt="none" fw={500}>
              {t(`factor.${name}`)} × {format.number(quote.factors[name], 2)}
            </Badge>
          ))}
        </Group>
      )}
    </Card>
  )
}

function wordsOf(types: TaskType[]): string[] {
  const words = new Set(types.map(({ type }) => type))
  for (const { schema } of types) for (const name of Object.keys(schema.properties ?? {})) words.add(name)
  return [...words]
}

function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte =>
    byte.toString(16).padStart(2, '0')
  ).join('')
}
