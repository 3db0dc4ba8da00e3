import { Checkbox, Group, NativeSelect, NumberInput, Textarea, TextInput } from '@mantine/core'
import { type ReactNode, useState } from 'react'
import type { Question } from './api.ts'
import type { Words } from './words.ts'

const PRESETS = ['poker', 'dealer', 'player', 'queens', 'wheel', 'steiner', 'enumerate'] as const
type Preset = (typeof PRESETS)[number]
const AGGREGATES = ['histogram', 'count', 'sum', 'min', 'max', 'topk', 'collect'] as const

/** What stands in the fields at first, and what they are between. */
const NUMBERS = {
  cards: [5, 5, 7],
  up: [6, 1, 10],
  decks: [1, 1, 8],
  n: [10, 1, 20],
  numbers: [49, 1, 100],
  pick: [6, 1, 20],
  v: [9, 3, 9]
} as const
type NumberName = keyof typeof NUMBERS
const START = {
  ...(Object.fromEntries(Object.entries(NUMBERS).map(([name, [start]]) => [name, start])) as Record<
    NumberName,
    number
  >),
  hand: '10,6',
  removed: '',
  hitSoft17: false,
  mayBeBlackjack: false,
  tickets: '1,2,3,4,5,6\n7,8,9,10,11,12',
  space: '{ "type": "product", "radices": [6, 6, 6] }',
  evaluate: 'dice => dice[0] + dice[1] + dice[2] + 3',
  prune: '',
  aggregate: 'histogram'
}
type Form = typeof START

const lines = (text: string): string[] =>
  text
    .split('\n')
    .map(line => line.replaceAll(' ', ''))
    .filter(line => line !== '')

const cardsIn = (text: string): number[] => text.split(',').filter(Boolean).map(Number)

/** What the node is asked. Throws SyntaxError where the space is no JSON. Pure. */
function inputOf(preset: Preset, form: Form): object {
  const { cards, up, decks, hitSoft17, mayBeBlackjack, n, numbers, pick, tickets, v } = form
  const removed = cardsIn(form.removed)
  switch (preset) {
    case 'poker':
      return { cards }
    case 'dealer':
      return { up, decks, hitSoft17, removed }
    case 'player':
      return { hand: cardsIn(form.hand), up, decks, hitSoft17, mayBeBlackjack, removed }
    case 'queens':
      return { n }
    case 'wheel':
      return { numbers, pick, tickets: lines(tickets) }
    case 'steiner':
      return { v }
    case 'enumerate': {
      const { space, evaluate, prune, aggregate } = form
      return {
        space: JSON.parse(space) as object,
        aggregate,
        ...(evaluate.trim() === '' ? {} : { evaluate }),
        ...(prune.trim() === '' ? {} : { prune })
      }
    }
  }
}

interface QuestionFormProps {
  words: Words
  /** the buttons */
  children: ReactNode
  ask(question: Question): void
  fail(message: string): void
}

/** A preset and its fields. */
export function QuestionForm({ words, children, ask, fail }: QuestionFormProps) {
  const { t } = words
  const [preset, setPreset] = useState<Preset>('poker')
  const [form, setForm] = useState<Form>(START)
  const set = (changed: Partial<Form>): void => setForm(before => ({ ...before, ...changed }))
  const number = (name: NumberName) => (
    <NumberInput
      key={name}
      label={t(name)}
      required
      min={NUMBERS[name][1]}
      max={NUMBERS[name][2]}
      value={form[name]}
      onChange={value => set({ [name]: Number(value) })}
      style={{ flex: '1 1 9rem' }}
    />
  )
  const cards = (name: 'hand' | 'removed') => (
    <TextInput
      key={name}
      label={t(name)}
      value={form[name]}
      onChange={({ currentTarget }) => set({ [name]: currentTarget.value })}
      style={{ flex: '1 1 14rem' }}
    />
  )
  const checkbox = (name: 'hitSoft17' | 'mayBeBlackjack') => (
    <Checkbox
      key={name}
      label={t(name)}
      checked={form[name]}
      onChange={({ currentTarget }) => set({ [name]: currentTarget.checked })}
      style={{ flex: '1 1 100%' }}
    />
  )
  const text = (name: 'space' | 'evaluate' | 'prune' | 'tickets', isCode: boolean) => (
    <Textarea
      key={name}
      label={t(name)}
      autosize
      minRows={2}
      maxRows={12}
      value={form[name]}
      onChange={({ currentTarget }) => set({ [name]: currentTarget.value })}
      style={{ flex: '1 1 100%' }}
      styles={isCode ? { input: { fontFamily: 'var(--mantine-font-family-monospace)' } } : {}}
      spellCheck={false}
    />
  )

  return (
    <form
      onSubmit={event => {
        event.preventDefault()
        try {
          ask({ preset, input: inputOf(preset, form) })
        } catch (error) {
          fail(t('badJson', { reason: (error as Error).message }))
        }
      }}
    >
      <Group align="flex-end" gap="sm">
        <NativeSelect
          label={t('preset')}
          value={preset}
          onChange={({ currentTarget }) => setPreset(currentTarget.value as Preset)}
          data={PRESETS.map(value => ({ value, label: t(`preset_${value}`) }))}
          style={{ flex: '1 1 14rem' }}
        />
        {preset === 'poker' && number('cards')}
        {preset === 'dealer' && [number('up'), number('decks'), cards('removed'), checkbox('hitSoft17')]}
        {preset === 'player' && [
          cards('hand'),
          number('up'),
          number('decks'),
          cards('removed'),
          checkbox('hitSoft17'),
          checkbox('mayBeBlackjack')
        ]}
        {preset === 'queens' && number('n')}
        {preset === 'wheel' && [number('numbers'), number('pick'), text('tickets', false)]}
        {preset === 'steiner' && number('v')}
        {preset === 'enumerate' && (
          <>
            {text('space', true)}
            {text('evaluate', true)}
            {text('prune', true)}
            <NativeSelect
              label={t('aggregate')}
              value={form.aggregate}
              onChange={({ currentTarget }) => set({ aggregate: currentTarget.value })}
              data={AGGREGATES.map(value => ({ value, label: t(`aggregate_${value}`) }))}
              style={{ flex: '1 1 14rem' }}
            />
          </>
        )}
        {children}
      </Group>
    </form>
  )
}
