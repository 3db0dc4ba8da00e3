import { useMutation } from '@tanstack/react-query'
import { call } from '../api/client.ts'
import { token } from '../api/token.ts'

/** Signs out. */
export const useLeave = () =>
  useMutation({
    mutationFn: () => call('/session', { method: 'DELETE' }),
    // also where the session is over already
    onSettled: token.leave
  })
