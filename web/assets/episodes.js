// How many episodes of alerts have opened and closed, as their service counts them.
export function turns(status) {
  const counts = status?.services.find((one) => one.service === "alerts")?.counts ?? {};
  return (counts.opened ?? 0) + (counts.closed ?? 0);
}
