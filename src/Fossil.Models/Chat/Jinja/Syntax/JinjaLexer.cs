using System.Text;
using System.Text.RegularExpressions;

namespace Fossil.Models.Chat.Jinja;

/// <summary>
/// Cuts a template into tokens, as Jinja 3.1 does (<c>jinja2/lexer.py</c>) with <c>trim_blocks</c> and <c>lstrip_blocks</c>: the newline after a block tag goes, and so does the white space between the
/// beginning of a line and a block tag or comment; <c>-</c> takes all white space on its side, <c>+</c> none.
/// </summary>
internal sealed partial class JinjaLexer
{
    // The longest first.
    private static readonly string[] Operators = ["//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"];

    private readonly TemplateSource source;
    private readonly string text;
    private readonly List<JinjaToken> tokens = [];
    private int position;

    // Whether the last thing read ended with a newline, so that white space before a tag stands at the beginning of a line.
    private bool lineStarts = true;

    private JinjaLexer(TemplateSource source) => (this.source, text) = (source, source.Text);

    /// <summary>The tokens of a template; the last is <see cref="TokenKind.End"/>.</summary>
    /// <exception cref="ChatTemplateException">A comment, string, bracket or <c>raw</c> block does not end, or a character has no meaning.</exception>
    public static List<JinjaToken> Read(TemplateSource source)
    {
        var lexer = new JinjaLexer(source);
        while (lexer.position < lexer.text.Length) lexer.ReadDataAndTag();
        lexer.Add(TokenKind.End, string.Empty, lexer.text.Length);
        return lexer.tokens;
    }

    private void ReadDataAndTag()
    {
        var start = position;
        var tag = NextTag(start);
        if (tag < 0)
        {
            Add(TokenKind.Data, text[start..], start);
            position = text.Length;
            return;
        }

        var opening = text[tag + 1];
        var raw = opening == '%' ? RawBegin().Match(text, tag) : Match.Empty;
        var sign = tag + 2 < text.Length && text[tag + 2] is '-' or '+' ? text[tag + 2] : '\0';
        AddData(start, tag, sign, strips: opening != '{');
        position = raw.Success ? tag + raw.Length : tag + (sign == '\0' ? 2 : 3);
        lineStarts = text[position - 1] == '\n';
        switch (opening)
        {
            case '#':
                SkipComment(tag);
                break;
            case '%' when raw.Success:
                ReadRaw(tag);
                break;
            case '%':
                Add(TokenKind.BlockBegin, "{%", tag);
                ReadExpression(tag, TokenKind.BlockEnd);
                break;
            default:
                Add(TokenKind.VariableBegin, "{{", tag);
                ReadExpression(tag, TokenKind.VariableEnd);
                break;
        }
    }

    private int NextTag(int from)
    {
        for (var at = text.IndexOf('{', from); at >= 0 && at + 1 < text.Length; at = text.IndexOf('{', at + 1))
        {
            if (text[at + 1] is '{' or '%' or '#') return at;
        }

        return -1;
    }

    /// <summary>The text before a tag, without the white space that the tag takes.</summary>
    private void AddData(int start, int end, char sign, bool strips)
    {
        var length = end - start;
        var data = text.AsSpan(start, length);
        if (sign == '-')
        {
            while (length > 0 && PythonText.IsSpace(data[length - 1])) length--;
        }
        else if (sign != '+' && strips)
        {
            var line = data.LastIndexOf('\n') + 1;
            if ((line > 0 || lineStarts) && line < length && data[line..].IndexOfAnyExcept(PythonText.Spaces) < 0) length = line;
        }

        if (length > 0) Add(TokenKind.Data, text.Substring(start, length), start);
    }

    private void SkipComment(int tag)
    {
        var end = text.IndexOf("#}", position, StringComparison.Ordinal);
        if (end < 0) throw source.SyntaxError(tag, "the comment '{#' has no end '#}'.");
        var sign = end > position ? text[end - 1] : '\0';
        position = end + 2;
        FinishTag(sign);
    }

    private void ReadRaw(int tag)
    {
        var end = RawEnd().Match(text, position);
        if (!end.Success) throw source.SyntaxError(tag, "the block 'raw' has no 'endraw'.");
        AddData(position, end.Index, end.Groups["left"].Value is [var sign] ? sign : '\0', strips: true);
        position = end.Index + end.Length;
        FinishTag(end.Groups["right"].Value is [var right] ? right : '\0');
    }

    /// <summary>What the end of a block tag or comment takes of what follows.</summary>
    private void FinishTag(char sign)
    {
        if (sign == '-') SkipSpaces();
        else if (sign != '+' && position < text.Length && text[position] == '\n') position++;
        lineStarts = text[position - 1] == '\n';
    }

    private void SkipSpaces()
    {
        while (position < text.Length && PythonText.IsSpace(text[position])) position++;
    }

    private void ReadExpression(int tag, TokenKind end)
    {
        var brackets = new Stack<(char Closing, int Offset)>();
        var closing = end == TokenKind.BlockEnd ? "%}" : "}}";
        while (true)
        {
            SkipSpaces();
            if (position >= text.Length)
            {
                // As Jinja: the parser says what is missing there.
                return;
            }

            if (brackets.Count == 0 && TryEnd(closing, end)) return;
            ReadToken(tag, brackets);
        }
    }

    private bool TryEnd(string closing, TokenKind end)
    {
        var sign = text[position];
        var signed = sign == '-' || (sign == '+' && end == TokenKind.BlockEnd);
        var at = signed ? position + 1 : position;
        if (string.CompareOrdinal(text, at, closing, 0, closing.Length) != 0) return false;
        Add(end, closing, position);
        position = at + closing.Length;
        if (end == TokenKind.BlockEnd)
        {
            FinishTag(signed ? sign : '\0');
        }
        else
        {
            if (signed) SkipSpaces();
            lineStarts = text[position - 1] == '\n';
        }

        return true;
    }

    private void ReadToken(int tag, Stack<(char Closing, int Offset)> brackets)
    {
        var start = position;
        if (TryMatch(FloatLiteral(), start, out var number) && (start == 0 || text[start - 1] != '.'))
        {
            Add(TokenKind.Float, number.Replace("_", string.Empty, StringComparison.Ordinal), start);
        }
        else if (TryMatch(IntegerLiteral(), start, out number))
        {
            Add(TokenKind.Integer, number.Replace("_", string.Empty, StringComparison.Ordinal), start);
        }
        else if (TryMatch(NamePattern(), start, out var name))
        {
            if (!PythonText.IsIdentifier(name)) throw source.SyntaxError(start, $"'{name}' is not a name.");
            Add(TokenKind.Name, name, start);
        }
        else if (text[start] is '\'' or '"')
        {
            ReadString(start);
        }
        else if (Array.Find(Operators, candidate => string.CompareOrdinal(text, start, candidate, 0, candidate.Length) == 0) is { } found)
        {
            Balance(found, start, brackets);
            Add(TokenKind.Operator, found, start);
            position += found.Length;
        }
        else
        {
            throw source.SyntaxError(start, $"unexpected character '{PythonText.FromCodePoint(PythonText.CodePointAt(text, start))}'.");
        }
    }

    private void Balance(string found, int start, Stack<(char Closing, int Offset)> brackets)
    {
        switch (found)
        {
            case "(":
                brackets.Push((')', start));
                break;
            case "[":
                brackets.Push((']', start));
                break;
            case "{":
                brackets.Push(('}', start));
                break;
            case ")" or "]" or "}":
                if (brackets.Count == 0) throw source.SyntaxError(start, $"unexpected '{found}'.");
                if (brackets.Pop() is var (closing, _) && closing != found[0]) throw source.SyntaxError(start, $"unexpected '{found}', expected '{closing}'.");
                break;
        }
    }

    private bool TryMatch(Regex pattern, int start, out string value)
    {
        var match = pattern.Match(text, start);
        value = match.Value;
        if (match.Success) position = start + match.Length;
        return match.Success;
    }

    private void ReadString(int start)
    {
        var quote = text[start];
        var end = start + 1;
        while (end < text.Length && text[end] != quote) end += text[end] == '\\' ? 2 : 1;
        if (end >= text.Length) throw source.SyntaxError(start, "the string has no end.");
        position = end + 1;
        Add(TokenKind.String, Unescape(text[(start + 1)..end], start), start);
    }

    /// <summary>Python's <c>unicode-escape</c>.</summary>
    private string Unescape(string escaped, int start)
    {
        if (!escaped.Contains('\\')) return escaped;
        var result = new StringBuilder(escaped.Length);
        for (var i = 0; i < escaped.Length; i++)
        {
            if (escaped[i] != '\\')
            {
                result.Append(escaped[i]);
                continue;
            }

            var code = escaped[++i];
            switch (code)
            {
                case '\n':
                    break;
                case '\\' or '\'' or '"':
                    result.Append(code);
                    break;
                case 'a' or 'b' or 'f' or 'n' or 'r' or 't' or 'v':
                    result.Append("\a\b\f\n\r\t\v"["abfnrtv".IndexOf(code, StringComparison.Ordinal)]);
                    break;
                case 'x' or 'u' or 'U':
                    var digits = code == 'x' ? 2 : code == 'u' ? 4 : 8;
                    if (i + digits >= escaped.Length || !int.TryParse(escaped.AsSpan(i + 1, digits), System.Globalization.NumberStyles.AllowHexSpecifier, null, out var point) || point is < 0 or > 0x10FFFF)
                        throw source.SyntaxError(start, $"'\\{code}' in a string needs {digits} hexadecimal digits of a code point.");
                    if (point < 0x10000) result.Append((char)point);
                    else result.Append(char.ConvertFromUtf32(point));
                    i += digits;
                    break;
                case >= '0' and <= '7':
                    var value = 0;
                    var last = Math.Min(i + 3, escaped.Length);
                    for (; i < last && escaped[i] is >= '0' and <= '7'; i++) value = (value * 8) + escaped[i] - '0';
                    i--;
                    result.Append((char)value);
                    break;
                case 'N':
                    throw source.SyntaxError(start, "characters by their name ('\\N{…}') are not supported. Write the character itself.");
                default:
                    result.Append('\\').Append(code);
                    break;
            }
        }

        return result.ToString();
    }

    private void Add(TokenKind kind, string value, int offset)
    {
        tokens.Add(new JinjaToken(kind, value, offset));
        if (kind == TokenKind.Data) lineStarts = value.EndsWith('\n');
    }

    [GeneratedRegex(@"\G\{%[-+]?\s*raw\s*(?:-%\}\s*|%\})")]
    private static partial Regex RawBegin();

    [GeneratedRegex(@"\{%(?<left>[-+]?)\s*endraw\s*(?<right>[-+]?)%\}")]
    private static partial Regex RawEnd();

    [GeneratedRegex(@"\G(?:[0-9]+_)*[0-9]+(?:(?:\.(?:[0-9]+_)*[0-9]+)?e[+-]?(?:[0-9]+_)*[0-9]+|\.(?:[0-9]+_)*[0-9]+)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex FloatLiteral();

    [GeneratedRegex(@"\G(?:0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[0-9a-f])+|[1-9](?:_?[0-9])*|0(?:_?0)*)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex IntegerLiteral();

    [GeneratedRegex(@"\G(?:\w|[\uD800-\uDBFF][\uDC00-\uDFFF])+")]
    private static partial Regex NamePattern();
}
