import { Checkbox, ScrollArea, Stack, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { User } from './wire.ts'
import { type Words, withWords } from './words.ts'

/** More are found by what is typed. */
const SHOWN = 50

/** People to be chosen, found by what is typed. */
export function Choose({
  label,
  people,
  chosen,
  onChange,
  words: { t }
}: {
  label: string
  people: readonly User[]
  chosen: string[]
  onChange(ids: string[]): void
  words: Words
}) {
  const [typed, setTyped] = useState('')
  const shown = withWords(people, typed, ({ id, name, classes }) => `${id} ${name} ${classes.join(' ')}`)
  return (
    <>
      <TextInput
        label={label}
        placeholder={t('findPeople')}
        value={typed}
        onChange={({ currentTarget }) => setTyped(currentTarget.value)}
      />
      <ScrollArea.Autosize
        mah="14rem"
        viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': t('people') }}
      >
        <Checkbox.Group value={chosen} onChange={onChange} aria-label={label}>
          <Stack gap="xs" py={4}>
            {shown.slice(0, SHOWN).map(({ id, name, classes }) => (
              <Checkbox
                key={id}
                value={id}
                label={classes.length === 0 ? name : `${name} · ${classes.join(', ')}`}
                description={id}
              />
            ))}
          </Stack>
        </Checkbox.Group>
      </ScrollArea.Autosize>
    </>
  )
}
