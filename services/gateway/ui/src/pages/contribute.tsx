import { Button, Text } from '@mantine/core'
import { useVolunteers } from '../api/queries.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Card, PageHead } from '../parts/page.tsx'
import { ServicePage } from '../parts/service-page.tsx'
import { href } from '../router.ts'

export default function ContributePage() {
  const { t } = useTexts()
  return (
    <>
      <PageHead title={t('nav.contribute')} lead={t('contribute.lead')} />
      <ServicePage name="compute" />
      <ThisBrowser />
    </>
  )
}

/** The way to the page from a screen whose bar has no room for it. */
function ThisBrowser() {
  const { t } = useTexts()
  if (useVolunteers().data !== true) return null
  return (
    <Card
      title={t('lend.card')}
      aside={
        <Button component="a" href={href('lend')} variant="default">
          {t('nav.lend')}
        </Button>
      }
    >
      <Text size="sm">{t('lend.cardText')}</Text>
    </Card>
  )
}
