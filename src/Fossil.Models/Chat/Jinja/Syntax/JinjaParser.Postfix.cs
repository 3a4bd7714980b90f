namespace Fossil.Models.Chat.Jinja;

/// <content>What stands behind an expression: attributes, elements, calls, filters and tests.</content>
internal sealed partial class JinjaParser
{
    private Expression ParsePostfix(Expression result)
    {
        while (true)
        {
            if (Current.IsOperator(".") || Current.IsOperator("[")) result = ParseSubscript(result);
            else if (Current.IsOperator("(")) result = new CallExpression(Current.Offset, result, ParseArguments());
            else return result;
        }
    }

    private Expression ParseSubscript(Expression owner)
    {
        var offset = Next().Offset;
        if (tokens[position - 1].Text == ".")
        {
            var member = Next();
            return member.Kind switch
            {
                TokenKind.Name => new AttributeExpression(offset, owner, member.Text),
                TokenKind.Integer when Numbers.TryParseInteger(member.Text, 0, out var index) => new ElementExpression(offset, owner, new Constant(member.Offset, index)),
                _ => throw source.SyntaxError(member.Offset, $"unexpected {member.Description}, expected a name or a number."),
            };
        }

        var keys = new List<Expression>();
        while (!Current.IsOperator("]"))
        {
            if (keys.Count > 0) ExpectOperator(",");
            keys.Add(ParseSubscribed(owner));
        }

        Next();
        return keys switch
        {
            [SliceExpression slice] => slice,
            [var key] => new ElementExpression(offset, owner, key),
            _ => new ElementExpression(offset, owner, new ListExpression(offset, keys, IsTuple: true)),
        };
    }

    private Expression ParseSubscribed(Expression owner)
    {
        var offset = Current.Offset;
        var bounds = new Expression?[3];
        if (!TryOperator(":"))
        {
            bounds[0] = ParseExpression();
            if (!TryOperator(":")) return bounds[0]!;
        }

        bool Ends() => Current.IsOperator("]") || Current.IsOperator(",");
        if (!Current.IsOperator(":") && !Ends()) bounds[1] = ParseExpression();
        if (TryOperator(":") && !Ends()) bounds[2] = ParseExpression();
        return new SliceExpression(offset, owner, bounds[0], bounds[1], bounds[2]);
    }

    private ArgumentList ParseArguments()
    {
        var offset = Current.Offset;
        ExpectOperator("(");
        var positional = new List<Expression>();
        var named = new List<(string, Expression)>();
        Expression? star = null, doubleStar = null;
        for (var first = true; !Current.IsOperator(")"); first = false)
        {
            if (!first)
            {
                ExpectOperator(",");
                if (Current.IsOperator(")")) break;
            }

            if (TryOperator("*"))
            {
                Ensure(star is null && doubleStar is null);
                star = ParseExpression();
            }
            else if (TryOperator("**"))
            {
                Ensure(doubleStar is null);
                doubleStar = ParseExpression();
            }
            else if (Current.Kind == TokenKind.Name && Ahead.IsOperator("="))
            {
                Ensure(doubleStar is null);
                var name = Next().Text;
                Next();
                named.Add((name, ParseExpression()));
            }
            else
            {
                Ensure(star is null && doubleStar is null && named.Count == 0);
                positional.Add(ParseExpression());
            }
        }

        Next();
        return new ArgumentList(positional, named, star, doubleStar);

        void Ensure(bool valid)
        {
            if (!valid) throw source.SyntaxError(offset, "the call's arguments are not in order: those without a name come first, '*' and '**' last.");
        }
    }

    private Expression ParseFiltersAndTests(Expression result)
    {
        while (true)
        {
            if (Current.IsOperator("|")) result = ParseFilter(result, startsInline: false)!;
            else if (Current.IsName("is")) result = ParseTest(result);
            else if (Current.IsOperator("(")) result = new CallExpression(Current.Offset, result, ParseArguments());
            else return result;
        }
    }

    /// <summary>Filters, one after the other; without an input those of a block.</summary>
    private FilterExpression? ParseFilter(Expression? input, bool startsInline)
    {
        var result = input;
        while (startsInline || Current.IsOperator("|"))
        {
            if (!startsInline) Next();
            startsInline = false;
            var offset = Current.Offset;
            var name = ParseDottedName("the name of a filter");
            Use(name, offset, isFilter: true);
            result = new FilterExpression(offset, result, name, Current.IsOperator("(") ? ParseArguments() : ArgumentList.None);
        }

        return result as FilterExpression;
    }

    private Expression ParseTest(Expression input)
    {
        Next();
        var negated = TryName("not");
        var offset = Current.Offset;
        var name = ParseDottedName("the name of a test");
        Use(name, offset, isFilter: false);
        var arguments = ArgumentList.None;
        if (Current.IsOperator("("))
        {
            arguments = ParseArguments();
        }
        else if ((Current.Kind is TokenKind.Name or TokenKind.String or TokenKind.Integer or TokenKind.Float || Current.IsOperator("[") || Current.IsOperator("{"))
            && !Current.IsName("else") && !Current.IsName("or") && !Current.IsName("and"))
        {
            if (Current.IsName("is")) throw source.SyntaxError(Current.Offset, "tests cannot be chained with 'is'.");
            arguments = new ArgumentList([ParsePostfix(ParsePrimary())], [], null, null);
        }

        Expression result = new TestExpression(offset, input, name, arguments);
        return negated ? new UnaryExpression(offset, "not", result) : result;
    }

    private string ParseDottedName(string what)
    {
        var name = ExpectName(what);
        while (TryOperator(".")) name += "." + ExpectName(what);
        return name;
    }
}
