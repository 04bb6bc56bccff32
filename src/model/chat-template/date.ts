const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/**
 * Python's strftime for midnight of a day, in English whatever the machine's language.
 *
 * @throws Error on a directive that templates have no use for
 */
export function formatDay(day: Date, format: string): string {
  const two = (n: number): string => String(n).padStart(2, "0");
  return format.replace(/%(-?.)/gsu, (directive, code: string) => {
    switch (code) {
      case "Y":
        return String(day.getUTCFullYear());
      case "y":
        return two(day.getUTCFullYear() % 100);
      case "m":
        return two(day.getUTCMonth() + 1);
      case "d":
        return two(day.getUTCDate());
      case "-d":
        return String(day.getUTCDate());
      case "-m":
        return String(day.getUTCMonth() + 1);
      case "B":
        return MONTHS[day.getUTCMonth()];
      case "b":
        return MONTHS[day.getUTCMonth()].slice(0, 3);
      case "A":
        return DAYS[day.getUTCDay()];
      case "a":
        return DAYS[day.getUTCDay()].slice(0, 3);
      case "H":
      case "M":
      case "S":
        return "00";
      case "%":
        return "%";
      default:
        throw new Error(`strftime_now does not know ${directive}`);
    }
  });
}
