/**
 * Whose write checkpoints these are: `user id`, or `user id/client id` for clients that name themselves. Stream and
 * request for a write checkpoint must come to the same key. No client can name itself into the key of another user:
 * a slash of a user id is escaped. Never empty.
 */
export function writeCheckpointKey(userId: string, clientId: string | undefined): string {
  const user = userId.replaceAll('%', '%25').replaceAll('/', '%2F')
  if (clientId !== undefined) return `${user}/${clientId}`
  return user === '' ? '%' : user
}
