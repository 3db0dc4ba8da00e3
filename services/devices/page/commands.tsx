import { Button, Group, NativeSelect, Text, TextInput, Title } from '@mantine/core'
import { useState } from 'react'
import { Confirm, type Question } from '../../host/page/confirm.tsx'
import type { DeviceRow } from './api.ts'
import type { PartProps } from './part.ts'
import { nameOf } from './words.ts'

/** What disturbs is asked before. */
const ASKED_FROM = 2
const TWO_SIGNERS = 3

/** What can be done with a device from here. */
export function Commands({ device, api, words, fail }: PartProps & { device: DeviceRow }) {
  const { t, word } = words
  const commands = device.about?.commands ?? {}
  const names = Object.keys(commands)
  const [chosen, setChosen] = useState<string>()
  const [args, setArgs] = useState('')
  const [second, setSecond] = useState('')
  const [isBusy, setIsBusy] = useState(false)
  const [outcome, setOutcome] = useState<string>()
  const [question, setQuestion] = useState<Question>()
  const name = chosen ?? names[0]
  const command = name === undefined ? undefined : commands[name]
  if (name === undefined || command === undefined) return null
  const { risk, summary, args: wanted = [] } = command

  async function run(): Promise<void> {
    setIsBusy(true)
    setOutcome(undefined)
    try {
      const answer = await api.command({
        device: device.id,
        agent: device.agent,
        name: name!,
        args: args.trim() === '' ? {} : (JSON.parse(args) as Record<string, unknown>),
        ...(risk < TWO_SIGNERS ? {} : { second: second.trim() })
      })
      const { is, why, result } = answer
      setOutcome(
        [
          word('outcome', is),
          ...(why === undefined ? [] : [why]),
          ...(result === undefined ? [] : [JSON.stringify(result)])
        ].join(': ')
      )
    } catch (error) {
      fail(error as Error)
    }
    setIsBusy(false)
  }

  return (
    <section className="card">
      <Title order={3} size="h5" mb="xs">
        {t('commands')}
      </Title>
      <form
        aria-label={t('commands')}
        onSubmit={event => {
          event.preventDefault()
          if (risk < ASKED_FROM) void run()
          else
            setQuestion({
              title: `${name}: ${nameOf(device)}`,
              text: `${summary}. ${word('risk', String(risk))}`,
              yes: t('doIt'),
              run: () => void run()
            })
        }}
      >
        <Group align="flex-end" gap="sm">
          <NativeSelect
            label={t('command')}
            value={name}
            onChange={({ currentTarget }) => setChosen(currentTarget.value)}
            data={names}
          />
          {wanted.length > 0 && (
            <TextInput
              label={t('args', { names: wanted.join(', ') })}
              placeholder={`{"${wanted[0]}": …}`}
              required
              value={args}
              onChange={({ currentTarget }) => setArgs(currentTarget.value)}
            />
          )}
          {risk === TWO_SIGNERS && (
            <TextInput
              label={t('secondSigner')}
              required
              value={second}
              onChange={({ currentTarget }) => setSecond(currentTarget.value)}
            />
          )}
          <Button type="submit" variant="default" loading={isBusy}>
            {t('doIt')}
          </Button>
        </Group>
      </form>
      <Text size="sm" c="dimmed" mt="xs">
        {summary} · {word('risk', String(risk))}
      </Text>
      {outcome !== undefined && (
        <Text size="sm" fw={600} role="status" style={{ overflowWrap: 'anywhere' }}>
          {outcome}
        </Text>
      )}
      <Confirm
        question={question}
        close={() => setQuestion(undefined)}
        texts={{ close: t('close'), keep: t('keep') }}
      />
    </section>
  )
}
