import {
  ActionIcon,
  Button,
  Checkbox,
  Fieldset,
  Group,
  NumberInput,
  Textarea,
  TextInput
} from '@mantine/core'
import { Plus, Trash2 } from 'lucide-react'
import { type ReactNode, useState } from 'react'
import { type Action, actionOf, textOf } from './actions.ts'
import type { Card, CardRow, Field, Rehearsed, Trigger } from './api.ts'
import { NameAndWhich } from './name-and-which.tsx'
import { linesOf, type PartProps } from './part.ts'
import { Rehearsal } from './rehearsal.tsx'

interface ButtonDraft {
  label: string
  does: string
  confirm: boolean
}
interface TriggerDraft {
  when: string
  hours: string
  for: number
  cooldown: number
  does: string
}
type FieldDraft = Required<Field>

interface CardFormProps extends PartProps {
  /** what is edited; undefined: a new one */
  card: CardRow | undefined
  save(card: Card & { on: string }): Promise<void>
}

/** The editor of a card, with a rehearsal of its triggers. */
export function CardForm({ card, save, api, words, fail }: CardFormProps) {
  const { t } = words
  const [name, setName] = useState(card?.name ?? '')
  const [on, setOn] = useState(card?.on ?? '*')
  const fields = useDrafts<FieldDraft>((card?.fields ?? []).map(each => ({ warn: '', bad: '', ...each })))
  const buttons = useDrafts<ButtonDraft>(
    (card?.buttons ?? []).map(({ label, confirm, ...action }) => ({ label, confirm, does: textOf(action) }))
  )
  const triggers = useDrafts<TriggerDraft>(
    (card?.triggers ?? []).map(({ do: actions, hours, ...rest }) => ({
      ...rest,
      hours: hours.join('\n'),
      does: actions.map(textOf).join('\n')
    }))
  )
  const [rehearsed, setRehearsed] = useState<Rehearsed[]>()

  function demand(text: string): Action {
    const action = actionOf(text)
    if (action === undefined) throw new Error(t('notAction', { text }))
    return action
  }
  const made = (): Trigger[] =>
    triggers.drafts.map(({ does, hours, ...rest }) => ({
      ...rest,
      hours: linesOf(hours),
      do: linesOf(does).map(demand)
    }))
  const whole = (): Card & { on: string } => ({
    name,
    on,
    fields: fields.drafts.map(({ warn, bad, ...rest }) => ({
      ...rest,
      ...(warn === '' ? {} : { warn }),
      ...(bad === '' ? {} : { bad })
    })),
    buttons: buttons.drafts.map(({ does, ...rest }) => ({ ...rest, ...demand(does) })),
    triggers: made()
  })

  return (
    <form
      aria-label={t('newCard')}
      onSubmit={event => {
        event.preventDefault()
        // what is no operation is said where it stands
        void Promise.resolve().then(whole).then(save).catch(fail)
      }}
    >
      <NameAndWhich words={words} name={name} setName={setName} on={on} setOn={setOn} />
      <List
        title={t('fields')}
        addLabel={t('addField')}
        add={() => fields.add({ label: '', metric: '', warn: '', bad: '' })}
      >
        {fields.drafts.map((draft, i) => (
          <Line
            key={fields.keys[i]}
            label={t('removeOf', { what: t('fields'), n: i + 1 })}
            remove={() => fields.remove(i)}
          >
            <Short
              label={t('label')}
              isRequired
              value={draft.label}
              set={label => fields.change(i, { label })}
            />
            <Short
              label={t('metric')}
              isRequired
              value={draft.metric}
              set={metric => fields.change(i, { metric })}
            />
            <Short label={t('warn')} value={draft.warn} set={warn => fields.change(i, { warn })} />
            <Short label={t('bad')} value={draft.bad} set={bad => fields.change(i, { bad })} />
          </Line>
        ))}
      </List>
      <List
        title={t('buttons')}
        addLabel={t('addButton')}
        add={() => buttons.add({ label: '', does: '', confirm: false })}
      >
        {buttons.drafts.map((draft, i) => (
          <Line
            key={buttons.keys[i]}
            label={t('removeOf', { what: t('buttons'), n: i + 1 })}
            remove={() => buttons.remove(i)}
          >
            <Short
              label={t('label')}
              isRequired
              value={draft.label}
              set={label => buttons.change(i, { label })}
            />
            <Short
              label={t('does')}
              isRequired
              value={draft.does}
              set={does => buttons.change(i, { does })}
            />
            <Checkbox
              label={t('confirm')}
              checked={draft.confirm}
              onChange={({ currentTarget }) => buttons.change(i, { confirm: currentTarget.checked })}
            />
          </Line>
        ))}
      </List>
      <List
        title={t('triggers')}
        addLabel={t('addTrigger')}
        add={() => triggers.add({ when: '', hours: '', for: 0, cooldown: 60, does: '' })}
      >
        {triggers.drafts.map((draft, i) => (
          <Line
            key={triggers.keys[i]}
            label={t('removeOf', { what: t('triggers'), n: i + 1 })}
            remove={() => triggers.remove(i)}
          >
            <Short
              label={t('when')}
              hint={t('whenText')}
              isRequired
              value={draft.when}
              set={when => triggers.change(i, { when })}
            />
            <NumberInput
              label={t('lasting')}
              min={0}
              w="7rem"
              value={draft.for}
              onChange={value => triggers.change(i, { for: Number(value) })}
            />
            <NumberInput
              label={t('cooldown')}
              min={10}
              w="9rem"
              value={draft.cooldown}
              onChange={value => triggers.change(i, { cooldown: Number(value) })}
            />
            <Textarea
              label={t('hours')}
              description={t('hoursText')}
              autosize
              value={draft.hours}
              onChange={({ currentTarget }) => triggers.change(i, { hours: currentTarget.value })}
              style={{ flex: '1 1 14rem' }}
            />
            <Textarea
              label={t('doesLines')}
              required
              autosize
              value={draft.does}
              onChange={({ currentTarget }) => triggers.change(i, { does: currentTarget.value })}
              style={{ flex: '1 1 14rem' }}
            />
          </Line>
        ))}
      </List>
      {rehearsed !== undefined && <Rehearsal items={rehearsed} words={words} />}
      <Group mt="md">
        <Button type="submit">{t('save')}</Button>
        <Button
          variant="default"
          disabled={triggers.drafts.length === 0}
          onClick={() =>
            void Promise.resolve()
              .then(() => api.rehearse(on, made()))
              .then(({ items }) => setRehearsed(items))
              .catch(fail)
          }
        >
          {t('rehearse')}
        </Button>
      </Group>
    </form>
  )
}

let nextKey = 0

/** Rows of an editor; a row keeps its key when others come and go. */
function useDrafts<T extends object>(start: T[]) {
  const [rows, setRows] = useState(() => start.map(draft => ({ key: nextKey++, draft })))
  return {
    drafts: rows.map(({ draft }) => draft),
    keys: rows.map(({ key }) => key),
    add: (draft: T) => setRows(before => [...before, { key: nextKey++, draft }]),
    remove: (at: number) => setRows(before => before.filter((_, i) => i !== at)),
    change: (at: number, part: Partial<T>) =>
      setRows(before =>
        before.map((row, i) => (i === at ? { ...row, draft: { ...row.draft, ...part } } : row))
      )
  }
}

function List({
  title,
  addLabel,
  add,
  children
}: {
  title: string
  addLabel: string
  add(): void
  children: ReactNode
}) {
  return (
    <Fieldset legend={title} mt="md">
      {children}
      <Button variant="subtle" size="sm" leftSection={<Plus size={16} aria-hidden />} onClick={add}>
        {addLabel}
      </Button>
    </Fieldset>
  )
}

function Line({ label, remove, children }: { label: string; remove(): void; children: ReactNode }) {
  return (
    <Group align="flex-end" gap="sm" mb="sm">
      {children}
      <ActionIcon variant="subtle" size="lg" color="gray" aria-label={label} title={label} onClick={remove}>
        <Trash2 size={18} aria-hidden />
      </ActionIcon>
    </Group>
  )
}

interface ShortProps {
  label: string
  hint?: string
  value: string
  isRequired?: boolean
  set(value: string): void
}

function Short({ label, hint, value, isRequired = false, set }: ShortProps) {
  return (
    <TextInput
      label={label}
      description={hint}
      required={isRequired}
      value={value}
      onChange={({ currentTarget }) => set(currentTarget.value)}
      style={{ flex: '1 1 10rem' }}
    />
  )
}
