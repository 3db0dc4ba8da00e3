import { Button, Group, NativeSelect, Table, Text, TextInput } from '@mantine/core'
import { useCallback, useState } from 'react'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { PartProps } from './part.ts'
import { csvOf, type Report, reconcile } from './reconcile.ts'
import { netOf, type Words } from './words.ts'

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000

/** As an input of a moment has it, in the zone of who looks. */
const localText = (at: number): string =>
  new Date(at - new Date(at).getTimezoneOffset() * MINUTE_MS).toISOString().slice(0, 16)

/** Whether a machine's log adds up since some moment. */
export function Reconciliation({ api, words, fail }: PartProps) {
  const { t } = words
  const { value } = useLoaded(
    useCallback(async () => [...(await api.readings()).keys()].sort(), [api]),
    { fail }
  )
  const [chosen, setChosen] = useState<string>()
  const [since, setSince] = useState(() => localText(Date.now() - DAY_MS))
  const [isBusy, setIsBusy] = useState(false)
  const [found, setFound] = useState<{ serial: string; report: Report }>()
  const serial = chosen ?? value?.[0]
  async function compare(): Promise<void> {
    if (serial === undefined) return
    setIsBusy(true)
    await api
      .entries(serial, new Date(since).getTime())
      .then(entries => setFound({ serial, report: reconcile(entries) }), fail)
    setIsBusy(false)
  }
  return (
    <section className="card" aria-label={t('reconciliation')}>
      <form
        onSubmit={event => {
          event.preventDefault()
          void compare()
        }}
      >
        <Group align="flex-end" gap="sm">
          <NativeSelect
            label={t('machine')}
            data={value ?? []}
            value={serial ?? ''}
            onChange={({ currentTarget }) => setChosen(currentTarget.value)}
          />
          <TextInput
            label={t('since')}
            type="datetime-local"
            required
            value={since}
            onChange={({ currentTarget }) => setSince(currentTarget.value)}
          />
          <Button type="submit" loading={isBusy} disabled={serial === undefined}>
            {t('compare')}
          </Button>
        </Group>
      </form>
      {found !== undefined && <Sums {...found} words={words} />}
    </section>
  )
}

function Sums({ serial, report, words }: { serial: string; report: Report; words: Words }) {
  const { t, number, word } = words
  const { isRight, lines, grown, rollovers, resets, head } = report
  const columns = ['expected', 'found'] as const
  return (
    <>
      <Text fw={600} mt="sm" role="status">
        {serial}: {t(isRight ? 'right' : 'wrong')}
      </Text>
      <Text size="sm">
        {t('grown', {
          coinIn: number(grown.coinIn ?? 0),
          coinOut: number(grown.coinOut ?? 0),
          net: number(netOf({ coinIn: 0, coinOut: 0, ...grown })),
          rollovers,
          resets,
          seq: head?.seq ?? '–'
        })}
      </Text>
      <Table.ScrollContainer minWidth={320} scrollAreaProps={{ viewportProps: { tabIndex: 0 } }}>
        <Table aria-label={t('reconciliation')}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('sum')}</Table.Th>
              {columns.map(column => (
                <Table.Th key={column} ta="right">
                  {t(column)}
                </Table.Th>
              ))}
              <Table.Th>{t('entries')}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {lines.map(({ what, entries, ...line }) => (
              <Table.Tr key={what}>
                <Table.Th scope="row" fw={line.expected === line.found ? 400 : 700}>
                  {word('sum', what)}
                </Table.Th>
                {columns.map(column => (
                  <Table.Td key={column} ta="right" className="num">
                    {number(line[column])}
                  </Table.Td>
                ))}
                <Table.Td className="num">{spanOf(entries)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Button
        component="a"
        variant="default"
        size="xs"
        mt="sm"
        href={`data:text/csv;charset=utf-8,${encodeURIComponent(csvOf(serial, report))}`}
        download={`${serial}.csv`}
      >
        {t('save')}
      </Button>
    </>
  )
}

/** The file has all of them. */
const spanOf = (entries: readonly number[]): string =>
  entries.length < 4 ? entries.join(', ') : `${entries[0]} … ${entries.at(-1)}`
