import { Button, Group, NativeSelect, Progress, Table, Text } from '@mantine/core'
import { useCallback, useState } from 'react'
import { Confirm, type Question } from '../../host/page/confirm.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { SetProgress } from './api.ts'
import { EVERY_MS, type PartProps } from './part.ts'
import type { Words } from './words.ts'

/** What was said so far, in the order in which it came. */
interface Run {
  isOver: boolean
  said: SetProgress[]
}

/** Sets of polls, run at one machine or at all, and what they answer. */
export function Sets({ api, words, fail }: PartProps) {
  const { t, number } = words
  const { value } = useLoaded(
    useCallback(async () => {
      const [sets, machines] = await Promise.all([api.sets(), api.machines()])
      const places = machines.items.map(({ line, address, serial }) => {
        const place = `${line}#${address}`
        return { value: place, label: serial ?? place }
      })
      return { sets: sets.items, places }
    }, [api]),
    { fail, everyMs: EVERY_MS }
  )
  const [chosen, setChosen] = useState<string>()
  const [place, setPlace] = useState('')
  const [question, setQuestion] = useState<Question>()
  const [run, setRun] = useState<Run>()
  if (value === undefined) return null
  const places = [{ value: '', label: t('all') }, ...value.places]
  const nameOf = (machine: string): string => places.find(each => each.value === machine)?.label ?? machine
  const right = value.sets.filter(({ why }) => why === undefined)
  const set = right.find(({ name }) => name === chosen) ?? right[0]

  async function start(name: string): Promise<void> {
    setRun({ isOver: false, said: [] })
    await api
      .run(name, place === '' ? undefined : place, progress =>
        setRun(run => ({ isOver: false, said: [...run!.said, progress] }))
      )
      .catch(fail)
    setRun(run => ({ ...run!, isOver: true }))
  }

  return (
    <section className="card" aria-label={t('sets')}>
      <Text size="sm" c="dimmed" mb="xs">
        {t('setsText')}
      </Text>
      {value.sets.length === 0 && <Text size="sm">{t('noSets')}</Text>}
      {value.sets.map(
        ({ name, why }) =>
          why !== undefined && (
            <Text key={name} size="sm" mb="xs" style={{ overflowWrap: 'anywhere' }}>
              {name}: {why}
            </Text>
          )
      )}
      {set !== undefined && (
        <form
          onSubmit={event => {
            event.preventDefault()
            setQuestion({
              title: t('runSet', { name: set.name }),
              text: [
                t('runText', { n: number(set.polls), machine: nameOf(place) }),
                ...(set.isControl ? [t('runControl')] : [])
              ].join(' '),
              yes: t('run'),
              run: () => void start(set.name)
            })
          }}
        >
          <Group align="flex-end" gap="sm">
            <NativeSelect
              label={t('set')}
              value={set.name}
              onChange={({ currentTarget }) => setChosen(currentTarget.value)}
              data={right.map(({ name, polls }) => ({
                value: name,
                label: t('setOf', { name, n: number(polls) })
              }))}
            />
            <NativeSelect
              label={t('at')}
              value={place}
              onChange={({ currentTarget }) => setPlace(currentTarget.value)}
              data={places}
            />
            <Button type="submit" variant="default" loading={run?.isOver === false}>
              {t('run')}
            </Button>
          </Group>
        </form>
      )}
      {run !== undefined && <Answers {...run} words={words} nameOf={nameOf} />}
      <Confirm
        question={question}
        close={() => setQuestion(undefined)}
        texts={{ close: t('close'), keep: t('keep') }}
      />
    </section>
  )
}

interface AnswersProps extends Run {
  words: Words
  nameOf(machine: string): string
}

function Answers({ isOver, said, words, nameOf }: AnswersProps) {
  const { t, number, word } = words
  const { done = 0, total = 0 } = said.at(-1) ?? {}
  return (
    <>
      <Text size="sm" fw={600} mt="sm" mb={6} role="status">
        {t(isOver ? 'ran' : 'running', { done: number(done), total: number(total) })}
      </Text>
      {!isOver && <Progress aria-label={t('answers')} value={(100 * done) / (total || 1)} />}
      <Table.ScrollContainer minWidth={320} scrollAreaProps={{ viewportProps: { tabIndex: 0 } }}>
        <Table aria-label={t('answers')}>
          <Table.Thead>
            <Table.Tr>
              {(['machine', 'poll', 'outcome', 'answer'] as const).map(column => (
                <Table.Th key={column}>{t(column)}</Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {said.map(({ machine, item: { poll, is, frame, values }, done }) => (
              <Table.Tr key={done}>
                <Table.Td>{nameOf(machine)}</Table.Td>
                <Table.Td className="num" style={{ overflowWrap: 'anywhere' }}>
                  {poll}
                </Table.Td>
                <Table.Td>{word('said', is)}</Table.Td>
                <Table.Td style={{ overflowWrap: 'anywhere' }}>
                  {values === undefined
                    ? frame
                    : Object.entries(values)
                        .map(
                          ([name, value]) => `${name} ${typeof value === 'number' ? number(value) : value}`
                        )
                        .join(', ')}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </>
  )
}
