import { ActionIcon, Text, Tooltip, useMantineColorScheme } from '@mantine/core'
import { Moon, Sun, SunMoon } from 'lucide-react'
import { useTexts } from '../i18n/i18n.tsx'

export function LanguageSwitch() {
  const { t, language, setLanguage } = useTexts()
  return (
    <ActionIcon
      variant="default"
      size="lg"
      radius="xl"
      aria-label={t('shell.language')}
      onClick={() => setLanguage(language === 'en' ? 'ru' : 'en')}
    >
      <Text span fz="xs" fw={600}>
        {language === 'en' ? 'EN' : 'РУ'}
      </Text>
    </ActionIcon>
  )
}

const SCHEMES = { auto: 'light', light: 'dark', dark: 'auto' } as const
const SCHEME_ICONS = { auto: SunMoon, light: Sun, dark: Moon }

export function SchemeSwitch() {
  const { t } = useTexts()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const Icon = SCHEME_ICONS[colorScheme]
  const label = t('shell.scheme', { scheme: t(`scheme.${colorScheme}`) })
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant="default"
        size="lg"
        radius="xl"
        aria-label={label}
        onClick={() => setColorScheme(SCHEMES[colorScheme])}
      >
        <Icon size="1.125rem" aria-hidden />
      </ActionIcon>
    </Tooltip>
  )
}
