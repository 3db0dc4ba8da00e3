import { Group, TextInput } from '@mantine/core'
import type { Words } from './words.ts'

interface NameAndWhichProps {
  words: Words
  name: string
  setName(name: string): void
  on: string
  setOn(on: string): void
}

/** What every document begins with: what it is called, and for which TVs it is. */
export function NameAndWhich({ words: { t }, name, setName, on, setOn }: NameAndWhichProps) {
  return (
    <Group align="flex-start" gap="sm" mt="sm">
      <TextInput
        label={t('name')}
        required
        value={name}
        onChange={({ currentTarget }) => setName(currentTarget.value)}
      />
      <TextInput
        label={t('which')}
        description={t('whichText')}
        required
        value={on}
        onChange={({ currentTarget }) => setOn(currentTarget.value)}
        style={{ flex: '1 1 12rem', maxWidth: '30rem' }}
      />
    </Group>
  )
}
