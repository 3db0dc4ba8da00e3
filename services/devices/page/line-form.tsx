import { Button, Group, TextInput } from '@mantine/core'
import { type ReactNode, useState } from 'react'

interface LineFormProps {
  label: string
  /** what its button says */
  button: string
  isMain?: boolean
  /** whether it was taken */
  save(): Promise<boolean>
  /** it was: the next one can be typed */
  onSaved(): void
  children: ReactNode
}

/** Fields in a line, and a button that saves what they say. Nobody types the next one until then: it would be cleared, too. */
export function LineForm({ label, button, isMain = false, save, onSaved, children }: LineFormProps) {
  const [isSaving, setIsSaving] = useState(false)
  async function submit(): Promise<void> {
    setIsSaving(true)
    if (await save()) onSaved()
    setIsSaving(false)
  }
  return (
    <form
      aria-label={label}
      onSubmit={event => {
        event.preventDefault()
        void submit()
      }}
    >
      <fieldset disabled={isSaving} style={{ border: 0, margin: 0, padding: 0, minWidth: 0 }}>
        <Group align="flex-end" gap="sm" mt="sm">
          {children}
          <Button type="submit" variant={isMain ? 'filled' : 'default'}>
            {button}
          </Button>
        </Group>
      </fieldset>
    </form>
  )
}

interface FieldProps {
  label: string
  value: string
  set(value: string): void
}

/** A text that a form cannot do without. */
export function Field({ label, value, set }: FieldProps) {
  return (
    <TextInput
      label={label}
      required
      value={value}
      onChange={({ currentTarget }) => set(currentTarget.value)}
    />
  )
}
