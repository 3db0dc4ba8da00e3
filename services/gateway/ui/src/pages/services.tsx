import { Anchor, Badge, Group, SimpleGrid, Stack, Text } from '@mantine/core'
import { Cpu, Puzzle } from 'lucide-react'
import { useServices } from '../api/queries.ts'
import type { Services } from '../api/wire.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Id } from '../parts/account.tsx'
import { Empty } from '../parts/empty.tsx'
import { Asked, Card, Loading, PageHead } from '../parts/page.tsx'
import { hasPage, ServicePage } from '../parts/service-page.tsx'
import { href } from '../router.ts'

export default function ServicesPage({ service }: { service: string | undefined }) {
  const { t } = useTexts()
  const { query, isLooking } = useServices()
  return (
    <>
      {service == null ? (
        <PageHead title={t('nav.services')} lead={t('services.lead')} />
      ) : (
        <>
          <Anchor href={href('services')} size="sm">
            {t('services.back')}
          </Anchor>
          <PageHead title={<NameOf service={service} />} lead={service} />
          <ServicePage name={nameOf(service)} />
        </>
      )}
      <Asked query={query}>
        {data =>
          service == null ? (
            <Offered {...data} isLooking={isLooking} />
          ) : (
            <One {...data} service={service} isLooking={isLooking} />
          )
        }
      </Asked>
    </>
  )
}

/** `artel/<name>/<version>` */
const nameOf = (service: string): string => service.split('/')[1] ?? service

function NameOf({ service }: { service: string }) {
  const { t } = useTexts()
  return nameOf(service) === 'compute' ? t('services.compute') : nameOf(service)
}

function IconOf({ service }: { service: string }) {
  const Icon = nameOf(service) === 'compute' ? Cpu : Puzzle
  return <Icon size="1.5rem" aria-hidden color="var(--artel-accent)" />
}

function Offered({ items, announced, here, isLooking }: Services & { isLooking: boolean }) {
  const { t } = useTexts()
  const mine = new Set(announced.map(({ service }) => service))
  // what nobody else may use is not announced
  const own = here
    .filter(({ service, state }) => hasPage(service) && state !== 'off')
    .map(({ service, version }) => `artel/${service}/${version}`)
  const names = [...new Set([...items.map(({ service }) => service), ...mine, ...own])]
  if (names.length === 0 && isLooking) return <Loading />
  if (names.length === 0)
    return (
      <div className="card">
        <Empty title={t('empty.services')} text={t('empty.servicesText')} />
      </div>
    )
  return (
    <SimpleGrid cols={{ base: 1, xs: 2, lg: 3, xl: 4 }}>
      {names.map(service => (
        <a
          key={service}
          href={href('services', service)}
          className="card clickable"
          style={{ color: 'inherit', textDecoration: 'none' }}
        >
          <Group gap="sm" wrap="nowrap" align="flex-start">
            <IconOf service={service} />
            <div style={{ minWidth: 0 }}>
              <Text fw={600}>
                <NameOf service={service} />
              </Text>
              <Text size="xs" c="dimmed" ff="monospace" truncate>
                {service}
              </Text>
              <Group gap="xs" mt="xs">
                <Text size="sm">
                  {isLooking
                    ? t('services.looking')
                    : t('services.providers', {
                        n: items.find(each => each.service === service)?.providers.length ?? 0
                      })}
                </Text>
                {mine.has(service) && (
                  <Badge variant="default" tt="none">
                    {t('services.mine')}
                  </Badge>
                )}
              </Group>
            </div>
          </Group>
        </a>
      ))}
    </SimpleGrid>
  )
}

function One({
  items,
  announced,
  here,
  service,
  isLooking
}: Services & { service: string; isLooking: boolean }) {
  const { t } = useTexts()
  const providers = items.find(each => each.service === service)?.providers ?? []
  const mine = announced.find(each => each.service === service)
  const isNobodys = providers.length === 0 && mine == null
  // of its owner alone; a node that lends nothing has compute, too, and others have more of it
  const name = nameOf(service)
  if (isNobodys && name !== 'compute' && here.some(each => each.service === name && each.state !== 'off'))
    return null
  return (
    <Stack gap="md">
      <Card title={t('services.providersTitle')}>
        {isNobodys && !isLooking ? (
          <Empty title={t('empty.providers')} text={t('empty.providersText')} />
        ) : (
          <Stack gap="xs">
            {mine != null && <Text size="sm">{t('services.announced', { n: mine.holders })}</Text>}
            {isLooking && <Text size="sm">{t('services.looking')}</Text>}
            {providers.map(peer => (
              <Id key={peer} id={peer} color="var(--artel-accent)" />
            ))}
          </Stack>
        )}
      </Card>
      {!hasPage(name) && (
        <Card title={t('services.use')}>
          <Text size="sm">{t('services.noPage')}</Text>
        </Card>
      )}
    </Stack>
  )
}
