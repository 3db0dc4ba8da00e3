import { ActionIcon, AppShell, Button, Group, NavLink, Text, Tooltip, VisuallyHidden } from '@mantine/core'
import {
  AppWindow,
  CirclePlus,
  CircleUserRound,
  Gauge,
  HandHeart,
  LayoutGrid,
  ListChecks,
  Users,
  Wallet
} from 'lucide-react'
import { lazy, Suspense, useEffect, useRef, useState } from 'react'
import { useLive } from './api/live.ts'
import { may, opens, useMe } from './api/me.ts'
import { useVolunteers } from './api/queries.ts'
import type { Key } from './i18n/en.ts'
import { useTexts } from './i18n/i18n.tsx'
import { OverviewPage } from './pages/overview.tsx'
import { Boundary } from './parts/boundary.tsx'
import { ConnectionBanner, ConnectionDot } from './parts/connection.tsx'
import { Loading } from './parts/page.tsx'
import { LanguageSwitch, SchemeSwitch } from './parts/switches.tsx'
import { href, PAGES, type PageName, type Route, useRoute } from './router.ts'

const LOADS = {
  jobs: () => import('./pages/jobs.tsx'),
  job: () => import('./pages/job.tsx'),
  compose: () => import('./pages/compose.tsx'),
  ledger: () => import('./pages/ledger.tsx'),
  contribute: () => import('./pages/contribute.tsx'),
  services: () => import('./pages/services.tsx'),
  accounts: () => import('./pages/accounts.tsx'),
  account: () => import('./pages/account.tsx'),
  lend: () => import('./pages/lend.tsx')
}
const JobsPage = lazy(LOADS.jobs)
const JobPage = lazy(LOADS.job)
const ComposePage = lazy(LOADS.compose)
const LedgerPage = lazy(LOADS.ledger)
const ContributePage = lazy(LOADS.contribute)
const ServicesPage = lazy(LOADS.services)
const AccountsPage = lazy(LOADS.accounts)
const AccountPage = lazy(LOADS.account)
const LendPage = lazy(LOADS.lend)
/** After the first page has settled: the others are there at a click, also when the node is gone by then. */
const PRELOAD_AFTER_MS = 2000

const ICONS: Record<PageName, typeof Gauge> = {
  overview: Gauge,
  jobs: ListChecks,
  compose: CirclePlus,
  ledger: Wallet,
  contribute: HandHeart,
  lend: AppWindow,
  services: LayoutGrid,
  accounts: Users,
  account: CircleUserRound
}
/** A narrow screen has no room for more: Contribute leads to the other. */
const isFirstRank = (page: PageName): boolean => page !== 'lend'
export const pageTitle = (page: PageName): Key => `nav.${page}`

export function Shell() {
  const { t, format } = useTexts()
  const me = useMe()
  const pages = PAGES.filter(name => opens(me, name))
  const isServed = useVolunteers().data === true
  // one's own account is behind the picture above
  const tabs = pages.filter(name => name !== 'account' && (name !== 'lend' || isServed))
  const route = useRoute()
  const { page, id }: Route = pages.includes(route.page) ? route : { page: pages[0] ?? 'account' }
  const isReader = may(me, 'read')
  const balance = useLive(state => state.balance)
  const main = useRef<HTMLElement>(null)
  const [wasLendOpened, setLendOpened] = useState(false)
  const isFirst = useRef(true)

  useEffect(() => {
    const timer = window.setTimeout(() => {
      // who then opens a page that did not come is told so there
      for (const load of Object.values(LOADS)) load().catch(() => undefined)
    }, PRELOAD_AFTER_MS)
    return () => window.clearTimeout(timer)
  }, [])

  useEffect(() => {
    if (page === 'lend') setLendOpened(true)
  }, [page])

  // a screen reader begins at the new page, a keyboard too
  useEffect(() => {
    document.title = `${t(pageTitle(page))}${id == null ? '' : ` · ${id}`} · Artel`
    if (isFirst.current) isFirst.current = false
    else {
      main.current?.focus({ preventScroll: true })
      window.scrollTo({ top: 0 })
    }
  }, [page, id, t])

  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 216, breakpoint: 'sm', collapsed: { mobile: true, desktop: tabs.length === 0 } }}
      footer={{ height: { base: 60, sm: 0 }, collapsed: tabs.length === 0 }}
      padding={{ base: 'sm', sm: 'lg' }}
    >
      <button type="button" className="skip" onClick={() => main.current?.focus()}>
        {t('shell.skip')}
      </button>
      <AppShell.Header bg="var(--artel-card)">
        <Group h="100%" px={{ base: 'sm', sm: 'lg' }} justify="space-between" wrap="nowrap">
          <a href={href(pages[0] ?? 'account')} style={{ color: 'inherit', textDecoration: 'none' }}>
            <Group gap={10} wrap="nowrap">
              <img src="./favicon.svg" alt="" width={28} height={28} />
              <Text fw={700} fz="lg">
                Artel
              </Text>
            </Group>
          </a>
          <Group gap="xs" wrap="nowrap">
            {balance != null && (
              <Button
                component="a"
                href={href('ledger')}
                variant="default"
                size="compact-md"
                radius="xl"
                className="num"
              >
                {format.credits(balance.available, 2)}&nbsp;{t('credits.short')}
                <VisuallyHidden>{t('shell.balance')}</VisuallyHidden>
              </Button>
            )}
            {isReader && <ConnectionDot />}
            {me.account != null && (
              <Tooltip label={me.account.name}>
                <ActionIcon
                  component="a"
                  href={href('account')}
                  variant="default"
                  size="lg"
                  radius="xl"
                  aria-label={t('shell.account', { name: me.account.name })}
                >
                  <CircleUserRound size="1.125rem" aria-hidden />
                </ActionIcon>
              </Tooltip>
            )}
            <LanguageSwitch />
            <SchemeSwitch />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="sm" bg="var(--artel-card)" aria-label={t('shell.pages')} visibleFrom="sm">
        {tabs.map(name => {
          const Icon = ICONS[name]
          return (
            <NavLink
              key={name}
              href={href(name)}
              active={page === name}
              aria-current={page === name ? 'page' : undefined}
              label={t(pageTitle(name))}
              leftSection={<Icon size="1.125rem" aria-hidden />}
              my={2}
              style={{ borderRadius: '0.5rem' }}
            />
          )
        })}
      </AppShell.Navbar>
      <AppShell.Main ref={main} id="main" tabIndex={-1} style={{ outline: 'none' }}>
        <div className="page">
          <ConnectionBanner />
          <Boundary key={`${page}/${id}`}>
            <Suspense fallback={<Loading />}>
              <Page page={page} id={id} />
            </Suspense>
          </Boundary>
          {/* goes on lending while other pages are looked at */}
          {(wasLendOpened || page === 'lend') && (
            <Boundary>
              <Suspense fallback={page === 'lend' && <Loading />}>
                <LendPage isShown={page === 'lend'} />
              </Suspense>
            </Boundary>
          )}
        </div>
      </AppShell.Main>
      <AppShell.Footer hiddenFrom="sm" bg="var(--artel-card)">
        <Group component="nav" aria-label={t('shell.pages')} h="100%" gap={0} wrap="nowrap" align="stretch">
          {tabs.filter(isFirstRank).map(name => {
            const Icon = ICONS[name]
            return (
              <a
                key={name}
                className="tab"
                href={href(name)}
                aria-current={page === name ? 'page' : undefined}
              >
                <Icon size={20} aria-hidden />
                {t(pageTitle(name))}
              </a>
            )
          })}
        </Group>
      </AppShell.Footer>
    </AppShell>
  )
}

function Page({ page, id }: { page: PageName; id: string | undefined }) {
  switch (page) {
    case 'overview':
      return <OverviewPage />
    case 'jobs':
      return id == null ? <JobsPage /> : <JobPage job={id} />
    case 'compose':
      return <ComposePage from={id} />
    case 'ledger':
      return <LedgerPage />
    case 'contribute':
      return <ContributePage />
    case 'lend':
      return null
    case 'services':
      return <ServicesPage service={id} />
    case 'accounts':
      return <AccountsPage />
    case 'account':
      return <AccountPage />
  }
}
