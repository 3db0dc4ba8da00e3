import { Alert, Button, Table, Text, Title } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useEffect, useState } from 'react'
import type { Api, Rule, Tested } from './api.ts'
import type { Words } from './words.ts'

const TYPING_MS = 600

interface RuleTestProps {
  rule: Rule
  /** of the rule whose kept pages are read; undefined: there are none */
  id: string | undefined
  api: Api
  words: Words
}

/** What a draft finds: on kept pages as it is written, on others when it is said, for their site is asked. */
export function RuleTest({ rule, id, api, words }: RuleTestProps) {
  const { t } = words
  const [draft] = useDebouncedValue(rule, TYPING_MS)
  // of a new rule: what is fetched for
  const [wanted, setWanted] = useState<Rule>()
  const [fetches, setFetches] = useState<Tested[]>()
  const [problem, setProblem] = useState<string>()
  const [isTesting, setIsTesting] = useState(false)
  const tested = id == null ? wanted : draft

  useEffect(() => {
    if (tested == null) return
    const controller = new AbortController()
    setIsTesting(true)
    api
      .test(tested, id, controller.signal)
      .then(
        answer => {
          setFetches(answer.fetches)
          setProblem(undefined)
        },
        (error: Error) => {
          if (!controller.signal.aborted) setProblem(error.message)
        }
      )
      .finally(() => {
        if (!controller.signal.aborted) setIsTesting(false)
      })
    return () => controller.abort()
  }, [api, id, tested])

  return (
    <section className="card" aria-label={t('test')} aria-busy={isTesting}>
      <Title order={2} size="h5">
        {t('test')}
      </Title>
      <Text size="sm" c="dimmed" mb="xs" role="status">
        {isTesting ? t('testing') : t(id == null ? 'testNew' : 'testKept')}
      </Text>
      {id == null && (
        <Button variant="default" size="xs" disabled={isTesting} onClick={() => setWanted({ ...rule })}>
          {t('tryOnce')}
        </Button>
      )}
      {problem != null && (
        <Alert color="orange" variant="light" role="alert" mt="xs">
          {problem}
        </Alert>
      )}
      {problem == null && fetches != null && <Found fetches={fetches} words={words} />}
    </section>
  )
}

function Found({ fetches, words }: { fetches: Tested[]; words: Words }) {
  const { t, number, time } = words
  const last = fetches.at(-1)
  const names = Object.keys(last?.items[0] ?? {})
  return (
    <>
      <ul style={{ margin: '0.5rem 0', paddingInlineStart: '1.25rem' }}>
        {fetches.map(({ at, count, changes, doubt, emptyFields, sent }) => (
          <li key={at}>
            <Text size="sm">
              {t('fetchOf', { time: time(at), count: number(count), changes: number(changes) })}
              {doubt != null && ` · ${t('doubt', { reason: doubt })}`}
              {emptyFields.length > 0 && ` · ${t('emptyFields', { names: emptyFields.join(', ') })}`}
            </Text>
            {sent.map(({ subscription, events, text }) => (
              <Text
                key={subscription}
                size="xs"
                c="dimmed"
                style={{ whiteSpace: 'pre-line', overflowWrap: 'anywhere' }}
              >
                {t('sent', { to: subscription, n: number(events) })}
                {`\n${text}`}
              </Text>
            ))}
          </li>
        ))}
      </ul>
      {last != null && last.items.length > 0 && (
        // what scrolls must be reachable by keyboard
        <Table.ScrollContainer
          minWidth={280}
          maxHeight="24rem"
          scrollAreaProps={{ viewportProps: { tabIndex: 0 } }}
        >
          <Table aria-label={t('firstItems', { n: last.items.length })} striped horizontalSpacing="xs">
            <Table.Thead>
              <Table.Tr>
                {names.map(name => (
                  <Table.Th key={name}>{name}</Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {last.items.map((item, at) => (
                // by its place: the key of a draft may be none
                <Table.Tr key={at}>
                  {names.map(name => (
                    <Table.Td key={name}>{item[name]}</Table.Td>
                  ))}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </>
  )
}
