import { NativeSelect } from '@mantine/core'
import type { PartProps } from './part.ts'

interface RuleSelectProps extends Pick<PartProps, 'words' | 'rules'> {
  /** '': all of them */
  value: string
  onChange(rule: string): void
}

export function RuleSelect({ words: { t }, rules = [], value, onChange }: RuleSelectProps) {
  return (
    <NativeSelect
      label={t('ofRule')}
      value={value}
      onChange={({ currentTarget }) => onChange(currentTarget.value)}
      data={[
        { value: '', label: t('allRules') },
        ...rules.map(({ id, rule }) => ({ value: id, label: rule.name }))
      ]}
    />
  )
}
