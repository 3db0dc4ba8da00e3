import { Stack } from '@mantine/core'
import { useRoles } from '../api/queries.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Asked, PageHead } from '../parts/page.tsx'
import { Import } from '../people/import.tsx'
import { Invite } from '../people/invite.tsx'
import { People } from '../people/people.tsx'
import { Roles } from '../people/roles.tsx'
import { Sessions } from '../people/sessions.tsx'

/** Everybody who may sign in to this node, for its owner. */
export default function AccountsPage() {
  const { t } = useTexts()
  const roles = useRoles()
  return (
    <>
      <PageHead title={t('nav.accounts')} lead={t('people.lead')} />
      <Asked query={roles}>
        {({ items, scopes }) => {
          const names = items.map(({ name }) => name)
          return (
            <div className="split">
              <Stack gap="md">
                <People roles={names} />
                <Sessions isOwn={false} />
              </Stack>
              <Stack gap="md">
                <Invite roles={names} />
                <Import roles={names} />
                <Roles roles={items} scopes={scopes} />
              </Stack>
            </div>
          )
        }}
      </Asked>
    </>
  )
}
