import { Checkbox, Group, Textarea } from '@mantine/core'
import { useState } from 'react'
import type { Policy } from './wire.ts'
import type { Words } from './words.ts'

const ROLES = ['pupil', 'teacher', 'admin'] as const

/** When nobody is told anything, and whose hours these are. */
export function QuietHours({
  policy,
  words,
  change
}: {
  policy: Policy
  words: Words
  change(policy: Policy): void
}) {
  const { t } = words
  const [text, setText] = useState(policy.quietHours?.join('\n') ?? '')
  const named = policy.quietRoles ?? ['pupil']
  const example = `1-7 21:00-07:00 ${Intl.DateTimeFormat().resolvedOptions().timeZone}`
  return (
    <>
      <Textarea
        label={t('quietHours')}
        description={t('quietHoursText', { example })}
        autosize
        value={text}
        onChange={({ currentTarget: { value } }) => {
          setText(value)
          const quietHours = value.split('\n').map(line => line.trim())
          change({ ...policy, quietHours: quietHours.filter(Boolean) })
        }}
      />
      {text.trim() !== '' && (
        <Checkbox.Group
          label={t('quietRoles')}
          value={named}
          onChange={roles => change({ ...policy, quietRoles: ROLES.filter(role => roles.includes(role)) })}
        >
          <Group mt="xs">
            {ROLES.map(role => (
              <Checkbox key={role} value={role} label={words.word('role', role)} />
            ))}
          </Group>
        </Checkbox.Group>
      )}
    </>
  )
}
