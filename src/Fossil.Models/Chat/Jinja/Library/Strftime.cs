using System.Globalization;
using System.Text;

namespace Fossil.Models.Chat.Jinja;

/// <summary>Python's <c>strftime</c> in the C locale, with glibc's formats and flags.</summary>
internal static class Strftime
{
    private static readonly DateTimeFormatInfo Names = DateTimeFormatInfo.InvariantInfo;

    public static string Format(DateTime time, string format)
    {
        var result = new StringBuilder();
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%')
            {
                result.Append(format[i]);
                continue;
            }

            var start = i;
            var flag = '\0';
            while (i + 1 < format.Length && format[i + 1] is '-' or '_' or '0' or '^' or '#') flag = format[++i];
            if (i + 1 >= format.Length)
            {
                result.Append(format.AsSpan(start));
                break;
            }

            var code = format[++i];
            result.Append(Code(time, code, flag) ?? format[start..(i + 1)]);
        }

        return result.ToString();
    }

    private static string? Code(DateTime time, char code, char flag)
    {
        string Number(int value, int width, char pad = '0') => flag switch
        {
            '-' => value.ToString(CultureInfo.InvariantCulture),
            '_' => value.ToString(CultureInfo.InvariantCulture).PadLeft(width),
            '0' => value.ToString(CultureInfo.InvariantCulture).PadLeft(width, '0'),
            _ => value.ToString(CultureInfo.InvariantCulture).PadLeft(width, pad),
        };
        string Text(string text) => flag == '^' ? text.ToUpperInvariant() : text;
        var hour12 = time.Hour % 12 == 0 ? 12 : time.Hour % 12;
        var weekday = (int)time.DayOfWeek;
        return code switch
        {
            'Y' => Number(time.Year, 1),
            'C' => Number(time.Year / 100, 2),
            'y' => Number(time.Year % 100, 2),
            'm' => Number(time.Month, 2),
            'd' => Number(time.Day, 2),
            'e' => Number(time.Day, 2, ' '),
            'H' => Number(time.Hour, 2),
            'k' => Number(time.Hour, 2, ' '),
            'I' => Number(hour12, 2),
            'l' => Number(hour12, 2, ' '),
            'M' => Number(time.Minute, 2),
            'S' => Number(time.Second, 2),
            'f' => (time.Ticks % TimeSpan.TicksPerSecond / 10).ToString("000000", CultureInfo.InvariantCulture),
            'j' => Number(time.DayOfYear, 3),
            'p' => flag == '#' ? (time.Hour < 12 ? "am" : "pm") : time.Hour < 12 ? "AM" : "PM",
            'P' => time.Hour < 12 ? "am" : "pm",
            'a' => Text(Names.AbbreviatedDayNames[weekday]),
            'A' => Text(Names.DayNames[weekday]),
            'b' or 'h' => Text(Names.AbbreviatedMonthNames[time.Month - 1]),
            'B' => Text(Names.MonthNames[time.Month - 1]),
            'w' => Number(weekday, 1),
            'u' => Number(weekday == 0 ? 7 : weekday, 1),
            'U' => Number((time.DayOfYear + 6 - weekday) / 7, 2),
            'W' => Number((time.DayOfYear + 6 - ((weekday + 6) % 7)) / 7, 2),
            'V' => Number(ISOWeek.GetWeekOfYear(time), 2),
            'G' => Number(ISOWeek.GetYear(time), 1),
            'g' => Number(ISOWeek.GetYear(time) % 100, 2),
            's' => new DateTimeOffset(time).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
            'c' => Format(time, "%a %b %e %H:%M:%S %Y"),
            'x' or 'D' => Format(time, "%m/%d/%y"),
            'X' or 'T' => Format(time, "%H:%M:%S"),
            'r' => Format(time, "%I:%M:%S %p"),
            'F' => Format(time, "%Y-%m-%d"),
            'R' => Format(time, "%H:%M"),
            'Z' or 'z' => string.Empty,
            'n' => "\n",
            't' => "\t",
            '%' => "%",
            _ => null,
        };
    }
}
