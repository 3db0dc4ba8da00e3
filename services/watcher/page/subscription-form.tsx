import { Button, Checkbox, Group, NativeSelect, TextInput } from '@mantine/core'
import { useState } from 'react'
import { CONDITIONS, type Condition, KINDS, type Subscription } from './api.ts'
import type { PartProps } from './part.ts'
import { RuleSelect } from './rule-select.tsx'

interface SubscriptionFormProps extends Pick<PartProps, 'words' | 'rules'> {
  /** whether it was taken */
  save(id: string, subscription: Subscription): Promise<boolean>
}

/** What must be said of each channel. */
const FIELDS = { email: ['to'], webhook: ['url', 'secret'], messenger: ['chat'] } as const
type Kind = keyof typeof FIELDS

const EMPTY = {
  id: '',
  name: '',
  rule: '',
  query: '',
  whenField: '',
  condition: 'contains' as Condition,
  whenValue: '',
  kind: 'email' as Kind,
  to: '',
  url: '',
  secret: '',
  chat: '',
  digest: '',
  isMatching: false
}

const channelOf = ({ kind, ...form }: typeof EMPTY): Subscription['channel'] =>
  ({ kind, ...Object.fromEntries(FIELDS[kind].map(name => [name, form[name]])) }) as Subscription['channel']

/** Nothing where no field is named. */
function whenOf({ whenField, condition, whenValue }: typeof EMPTY): Pick<Subscription, 'when'> {
  if (whenField === '') return {}
  const isText = condition === 'contains' || condition === 'matches'
  return { when: { field: whenField, [condition]: isText ? whenValue : Number(whenValue) } }
}

export function SubscriptionForm({ words, rules, save }: SubscriptionFormProps) {
  const { t, word } = words
  const [form, setForm] = useState(EMPTY)
  const [kinds, setKinds] = useState<string[]>([...KINDS])
  const set = (changed: Partial<typeof EMPTY>): void => setForm(before => ({ ...before, ...changed }))
  const text = (
    name: 'id' | 'name' | 'query' | 'whenField' | 'whenValue' | 'to' | 'url' | 'secret' | 'chat' | 'digest',
    isNeeded: boolean
  ) => (
    <TextInput
      key={name}
      label={t(name)}
      required={isNeeded}
      value={form[name]}
      onChange={({ currentTarget }) => set({ [name]: currentTarget.value })}
      style={{ flex: '1 1 14rem' }}
    />
  )

  function subscription(): Subscription {
    const { name, rule, query, digest, isMatching } = form
    return {
      name,
      kinds,
      channel: channelOf(form),
      timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      ...(rule === '' ? {} : { rule }),
      ...(query === '' ? {} : { query }),
      ...whenOf(form),
      ...(digest === '' ? {} : { digest }),
      ...(isMatching ? { first: 'matching' } : {})
    }
  }

  return (
    <form
      aria-label={t('newSubscription')}
      onSubmit={event => {
        event.preventDefault()
        void save(form.id, subscription()).then(isDone => {
          if (isDone) setForm(EMPTY)
        })
      }}
    >
      <Group align="flex-end" gap="sm">
        {text('id', true)}
        {text('name', true)}
        <RuleSelect words={words} rules={rules} value={form.rule} onChange={rule => set({ rule })} />
        {text('query', false)}
        {text('whenField', false)}
        {form.whenField !== '' && (
          <>
            <NativeSelect
              label={t('condition')}
              value={form.condition}
              onChange={({ currentTarget }) => set({ condition: currentTarget.value as Condition })}
              data={CONDITIONS.map(value => ({ value, label: word('condition', value) }))}
            />
            {text('whenValue', true)}
          </>
        )}
        <Checkbox.Group label={t('kinds')} value={kinds} onChange={setKinds}>
          <Group gap="sm">
            {KINDS.map(kind => (
              <Checkbox key={kind} value={kind} label={word('kind', kind)} />
            ))}
          </Group>
        </Checkbox.Group>
        <NativeSelect
          label={t('channel')}
          value={form.kind}
          onChange={({ currentTarget }) => set({ kind: currentTarget.value as Kind })}
          data={Object.keys(FIELDS).map(value => ({ value, label: word('channel', value) }))}
        />
        {FIELDS[form.kind].map(name => text(name, true))}
        {text('digest', false)}
        <Checkbox
          label={t('matching')}
          checked={form.isMatching}
          onChange={({ currentTarget }) => set({ isMatching: currentTarget.checked })}
          style={{ flex: '1 1 100%' }}
        />
        <Button type="submit" disabled={kinds.length === 0}>
          {t('subscribe')}
        </Button>
      </Group>
    </form>
  )
}
