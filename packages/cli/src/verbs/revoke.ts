import { askOperator, type OperatorFlags } from '../ask-operator.ts'
import { paintOn } from '../report.ts'

export type RevokeFlags = OperatorFlags & {
  readonly user: string
  readonly client?: string
  readonly tokenId?: string
  readonly issuedBefore?: string
  readonly json?: boolean
}

/** Has a running service end a user's streams, and refuse the tokens from before. */
export async function runRevoke(flags: RevokeFlags): Promise<void> {
  const { user, client, tokenId, issuedBefore } = flags
  const revoked = await askOperator(flags, {
    doing: 'revoke',
    method: 'POST',
    path: '/api/admin/v1/revoke',
    body: { user_id: user, client_id: client, token_id: tokenId, issued_before: issuedBefore },
  })
  if (flags.json === true) {
    console.log(JSON.stringify(revoked))
    return
  }
  const { user_id: id, issued_before: before, expires_at: until } = revoked
  console.log(
    `${paintOn(process.stdout, 'green', '✓ revoked')}  tokens of ${String(id)} issued before ${String(before)}`,
  )
  console.log(`  forgotten at ${String(until)}, when the last of them has expired`)
}
