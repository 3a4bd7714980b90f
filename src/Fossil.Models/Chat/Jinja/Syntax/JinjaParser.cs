using System.Globalization;
using System.Runtime.CompilerServices;

namespace Fossil.Models.Chat.Jinja;

/// <summary>Makes a tree of a template's tokens, as Jinja 3.1 does (<c>jinja2/parser.py</c>). Here the expressions; what stands behind one and the statements are in parts of their own.</summary>
internal sealed partial class JinjaParser
{
    private static readonly string[] Comparisons = ["==", "!=", "<", "<=", ">", ">="];

    private readonly TemplateSource source;
    private readonly List<JinjaToken> tokens;
    private int position;

    private JinjaParser(TemplateSource source)
    {
        this.source = source;
        tokens = JinjaLexer.Read(source);
    }

    private JinjaToken Current => tokens[position];

    private JinjaToken Ahead => tokens[Math.Min(position + 1, tokens.Count - 1)];

    /// <summary>Reads a template.</summary>
    /// <exception cref="ChatTemplateException">It is not written in the template language.</exception>
    public static ParsedTemplate Parse(TemplateSource source)
    {
        var parser = new JinjaParser(source);
        var body = parser.ParseBody([]);
        if (parser.Current.Kind != TokenKind.End) throw parser.Unexpected("the end of the template");
        parser.CheckNames();
        return new ParsedTemplate(body, parser.blocks, parser.hasGenerationBlocks);
    }

    private JinjaToken Next()
    {
        var token = Current;
        if (position < tokens.Count - 1) position++;
        return token;
    }

    private ChatTemplateException Unexpected(string expected) => source.SyntaxError(Current.Offset, $"unexpected {Current.Description}, expected {expected}.");

    private bool TryOperator(string text)
    {
        if (!Current.IsOperator(text)) return false;
        Next();
        return true;
    }

    private void ExpectOperator(string text)
    {
        if (!TryOperator(text)) throw Unexpected($"'{text}'");
    }

    private bool TryName(string name)
    {
        if (!Current.IsName(name)) return false;
        Next();
        return true;
    }

    private string ExpectName(string what) => Current.Kind == TokenKind.Name ? Next().Text : throw Unexpected(what);

    private void CheckDepth(int offset)
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw source.Error(ChatTemplateErrorKind.Limit, offset, "the template is nested too deep.");
    }

    private Expression ParseExpression(bool withConditional = true)
    {
        CheckDepth(Current.Offset);
        return withConditional ? ParseConditional() : ParseOr();
    }

    private Expression ParseConditional()
    {
        var (offset, uses) = (Current.Offset, UseCount);
        var result = ParseOr();
        while (TryName("if"))
        {
            var test = ParseOr();
            var otherwise = TryName("else") ? ParseExpression() : null;
            result = new ConditionalExpression(offset, result, test, otherwise);
            ForgetUses(uses);
        }

        return result;
    }

    private Expression ParseOr() => ParseBoolean("or", () => ParseBoolean("and", ParseNot));

    private Expression ParseBoolean(string operation, Func<Expression> operand)
    {
        var left = operand();
        while (Current.IsName(operation)) left = new BinaryExpression(Next().Offset, operation, left, operand());
        return left;
    }

    private Expression ParseNot()
    {
        if (!Current.IsName("not")) return ParseCompare();
        var offset = Next().Offset;
        CheckDepth(offset);
        return new UnaryExpression(offset, "not", ParseNot());
    }

    private Expression ParseCompare()
    {
        var offset = Current.Offset;
        var first = ParseSum();
        var rest = new List<(string, Expression)>();
        while (true)
        {
            if (Current.Kind == TokenKind.Operator && Comparisons.Contains(Current.Text))
            {
                rest.Add((Next().Text, ParseSum()));
            }
            else if (TryName("in"))
            {
                rest.Add(("in", ParseSum()));
            }
            else if (Current.IsName("not") && Ahead.IsName("in"))
            {
                Next();
                Next();
                rest.Add(("not in", ParseSum()));
            }
            else
            {
                return rest.Count == 0 ? first : new CompareExpression(offset, first, rest);
            }
        }
    }

    private Expression ParseSum() => ParseBinary(["+", "-"], ParseConcat);

    // As Jinja: '~' binds tighter than '+'.
    private Expression ParseConcat()
    {
        var offset = Current.Offset;
        var parts = new List<Expression> { ParseProduct() };
        while (TryOperator("~")) parts.Add(ParseProduct());
        return parts.Count == 1 ? parts[0] : new ConcatExpression(offset, parts);
    }

    private Expression ParseProduct() => ParseBinary(["*", "/", "//", "%"], ParsePower);

    private Expression ParsePower() => ParseBinary(["**"], () => ParseUnary());

    private Expression ParseBinary(string[] operations, Func<Expression> operand)
    {
        var left = operand();
        while (Current.Kind == TokenKind.Operator && operations.Contains(Current.Text))
        {
            var token = Next();
            left = new BinaryExpression(token.Offset, token.Text, left, operand());
        }

        return left;
    }

    private Expression ParseUnary(bool withFilter = true)
    {
        Expression result;
        if (Current.IsOperator("-") || Current.IsOperator("+"))
        {
            var token = Next();
            CheckDepth(token.Offset);
            result = new UnaryExpression(token.Offset, token.Text, ParseUnary(withFilter: false));
        }
        else
        {
            result = ParsePrimary();
        }

        result = ParsePostfix(result);
        return withFilter ? ParseFiltersAndTests(result) : result;
    }

    private Expression ParsePrimary()
    {
        var token = Current;
        switch (token.Kind)
        {
            case TokenKind.Name:
                Next();
                return token.Text switch
                {
                    "true" or "True" => new Constant(token.Offset, true),
                    "false" or "False" => new Constant(token.Offset, false),
                    "none" or "None" => new Constant(token.Offset, None.Value),
                    _ => Load(token),
                };
            case TokenKind.String:
                var text = new System.Text.StringBuilder();
                while (Current.Kind == TokenKind.String) text.Append(Next().Text);
                return new Constant(token.Offset, new MarkedText(text.ToString()));
            case TokenKind.Integer:
                Next();
                return new Constant(token.Offset, Numbers.TryParseInteger(token.Text, 0, out var integer) ? integer : throw source.SyntaxError(token.Offset, "the integer is too long."));
            case TokenKind.Float:
                Next();
                return new Constant(token.Offset, double.Parse(token.Text, CultureInfo.InvariantCulture));
            case TokenKind.Operator when token.Text == "(":
                Next();
                var inside = ParseTuple(explicitParentheses: true);
                ExpectOperator(")");
                return inside;
            case TokenKind.Operator when token.Text == "[":
                Next();
                return new ListExpression(token.Offset, ParseItems("]", () => ParseExpression()), IsTuple: false);
            case TokenKind.Operator when token.Text == "{":
                Next();
                return new DictExpression(token.Offset, ParseItems("}", () =>
                {
                    var key = ParseExpression();
                    ExpectOperator(":");
                    return (key, ParseExpression());
                }));
            default:
                throw Unexpected("an expression");
        }
    }

    private List<T> ParseItems<T>(string end, Func<T> parse)
    {
        var items = new List<T>();
        while (!Current.IsOperator(end))
        {
            if (items.Count > 0) ExpectOperator(",");
            if (Current.IsOperator(end)) break;
            items.Add(parse());
        }

        Next();
        return items;
    }

    /// <summary>Expressions with commas between them are a tuple, with parentheses or without.</summary>
    private Expression ParseTuple(bool withConditional = true, bool explicitParentheses = false)
    {
        CheckDepth(Current.Offset);
        var offset = Current.Offset;
        var items = new List<Expression>();
        var isTuple = false;
        while (true)
        {
            if (items.Count > 0) ExpectOperator(",");
            if (Current.Kind is TokenKind.VariableEnd or TokenKind.BlockEnd || Current.IsOperator(")")) break;
            items.Add(ParseExpression(withConditional));
            if (!Current.IsOperator(",")) break;
            isTuple = true;
        }

        if (!isTuple)
        {
            if (items.Count > 0) return items[0];
            if (!explicitParentheses) throw Unexpected("an expression");
        }

        return new ListExpression(offset, items, IsTuple: true);
    }
}

/// <summary>A template's tree.</summary>
/// <param name="Body">What it writes.</param>
/// <param name="Blocks">Its named blocks.</param>
/// <param name="HasGenerationBlocks">Whether it says by <c>generation</c> blocks what is to be learned.</param>
internal sealed record ParsedTemplate(Block Body, IReadOnlyDictionary<string, NamedBlockStatement> Blocks, bool HasGenerationBlocks);
