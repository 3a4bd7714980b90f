namespace Fossil.Models.Chat.Jinja;

/// <content>Statements.</content>
internal sealed partial class JinjaParser
{
    private static readonly string[] SpecialNames = ["caller", "kwargs", "varargs"];

    // What the macros that are being read ask for beside their parameters.
    private readonly Stack<HashSet<string>> special = [];

    // Unknown filters and tests are errors of the template, but those directly in a condition only when they are reached.
    private readonly List<(string Name, int Offset, bool IsFilter)> checkedUses = [];
    private List<(string Name, int Offset, bool IsFilter)> uses = [];

    private readonly Dictionary<string, NamedBlockStatement> blocks = [];
    private bool hasGenerationBlocks;

    private int loopsInFunction;
    private int loopsAround;

    private int UseCount => uses.Count;

    private void Use(string name, int offset, bool isFilter) => uses.Add((name, offset, isFilter));

    private void ForgetUses(int from) => uses.RemoveRange(from, uses.Count - from);

    /// <summary>Reads a part that Jinja compiles with names of its own, where every filter has to be known.</summary>
    private T Inner<T>(Func<T> read)
    {
        var outer = uses;
        uses = [];
        var result = read();
        checkedUses.AddRange(uses);
        uses = outer;
        return result;
    }

    private void CheckNames()
    {
        foreach (var (name, offset, isFilter) in checkedUses.Concat(uses).OrderBy(use => use.Offset))
        {
            if (!(isFilter ? Filters.Exists(name) : Tests.Exists(name))) throw source.SyntaxError(offset, $"there is no {(isFilter ? "filter" : "test")} '{name}'.");
        }
    }

    private NameExpression Load(JinjaToken token)
    {
        if (SpecialNames.Contains(token.Text))
        {
            foreach (var names in special) names.Add(token.Text);
        }

        return new NameExpression(token.Offset, token.Text);
    }

    /// <summary>Text and tags up to one of the tags in <paramref name="ends"/>, which is not read, or up to the end of the template.</summary>
    private Block ParseBody(string[] ends)
    {
        CheckDepth(Current.Offset);
        var offset = Current.Offset;
        var statements = new List<Statement>();
        while (Current.Kind != TokenKind.End)
        {
            var token = Next();
            switch (token.Kind)
            {
                case TokenKind.Data:
                    statements.Add(new TextStatement(token.Offset, token.Text));
                    break;
                case TokenKind.VariableBegin:
                    statements.Add(new PrintStatement(token.Offset, [ParseTuple()]));
                    if (Current.Kind != TokenKind.VariableEnd) throw Unexpected("'}}'");
                    Next();
                    break;
                default:
                    if (Current.Kind == TokenKind.Name && ends.Contains(Current.Text)) return new Block(offset, statements);
                    statements.Add(ParseStatement());
                    ExpectBlockEnd();
                    break;
            }
        }

        return new Block(offset, statements);
    }

    private void ExpectBlockEnd()
    {
        if (Current.Kind != TokenKind.BlockEnd) throw Unexpected("'%}'");
        Next();
    }

    /// <summary>The body of a tag, and which of the tags in <paramref name="ends"/> ended it; that name is read.</summary>
    private (Block Body, string End) ParseBodyUntil(string tag, params string[] ends)
    {
        TryOperator(":");
        ExpectBlockEnd();
        var body = ParseBody(ends);
        if (Current.Kind == TokenKind.End) throw source.SyntaxError(Current.Offset, $"the block '{tag}' has no '{ends[^1]}'.");
        return (body, Next().Text);
    }

    private Block ParseOnlyBody(string tag, string end) => ParseBodyUntil(tag, end).Body;

    private Statement ParseStatement()
    {
        var token = Current;
        if (token.Kind != TokenKind.Name) throw Unexpected("the name of a tag");
        Next();
        return token.Text switch
        {
            "for" => ParseFor(token.Offset),
            "if" => ParseIf(token.Offset),
            "set" => ParseSet(token.Offset),
            "macro" => ParseMacro(token.Offset),
            "call" => ParseCall(token.Offset),
            "with" => ParseWith(token.Offset),
            "filter" => Inner(() => new FilterStatement(token.Offset, ParseFilter(null, startsInline: true)!, ParseOnlyBody("filter", "endfilter"))),
            "generation" => ParseGeneration(token.Offset),
            "block" => ParseNamedBlock(token.Offset),
            "print" => ParsePrint(token.Offset),
            "break" => ParseLoopControl(token, Flow.Break),
            "continue" => ParseLoopControl(token, Flow.Continue),
            "include" or "import" or "from" or "extends" => ParseLoad(token),
            "autoescape" => throw source.Error(ChatTemplateErrorKind.Unsupported, token.Offset, "'autoescape' is not supported."),
            _ => throw source.SyntaxError(token.Offset, $"there is no tag '{token.Text}', or it does not belong here."),
        };
    }

    private ForStatement ParseFor(int offset)
    {
        var target = ParseTarget(withTuple: true, withNamespace: false);
        if (target.Names.Contains("loop")) throw source.SyntaxError(target.Offset, "'loop' cannot be the variable of a loop.");
        if (!TryName("in")) throw Unexpected("'in'");
        var items = ParseTuple(withConditional: false);
        loopsAround++;
        var (test, recursive, body, end) = Inner(() =>
        {
            var test = TryName("if") ? ParseExpression() : null;
            var recursive = TryName("recursive");
            loopsInFunction++;
            var (body, end) = ParseBodyUntil("for", "else", "endfor");
            loopsInFunction--;
            return (test, recursive, body, end);
        });
        var otherwise = end == "else" ? Inner(() => ParseOnlyBody("for", "endfor")) : null;
        loopsAround--;
        return new ForStatement(offset, target, items, test, recursive, body, otherwise);
    }

    private IfStatement ParseIf(int offset)
    {
        var used = UseCount;
        var branches = new List<(Expression, Block)>();
        Block? otherwise = null;
        while (true)
        {
            var test = ParseTuple(withConditional: false);
            var (body, end) = ParseBodyUntil("if", "elif", "else", "endif");
            branches.Add((test, body));
            if (end == "elif") continue;
            if (end == "else") otherwise = ParseOnlyBody("if", "endif");
            ForgetUses(used);
            return new IfStatement(offset, branches, otherwise);
        }
    }

    private Statement ParseSet(int offset)
    {
        var target = ParseTarget(withTuple: true, withNamespace: true);
        if (TryOperator("=")) return new SetStatement(offset, target, ParseTuple());
        return Inner(() => new SetBlockStatement(offset, target, ParseFilter(null, startsInline: false), ParseOnlyBody("set", "endset")));
    }

    private MacroStatement ParseMacro(int offset)
    {
        var name = (ParseTarget(withTuple: false, withNamespace: false) as NameTarget)!.Name;
        return new MacroStatement(offset, ParseDefinition(name, hasParameters: true, () => ParseOnlyBody("macro", "endmacro")));
    }

    private CallStatement ParseCall(int offset)
    {
        CallExpression? call = null;
        var hasParameters = Current.IsOperator("(");
        var definition = ParseDefinition("caller", hasParameters, () =>
        {
            var callOffset = Current.Offset;
            call = ParseExpression() as CallExpression ?? throw source.SyntaxError(callOffset, "'call' needs a call.");
            return ParseOnlyBody("call", "endcall");
        });
        return new CallStatement(offset, call!, definition);
    }

    private MacroDefinition ParseDefinition(string name, bool hasParameters, Func<Block> read)
    {
        var names = new HashSet<string>();
        special.Push(names);
        var parameters = new List<(string Name, Expression? Default)>();
        var body = ParseFunctionBody(() =>
        {
            if (hasParameters) ParseParameters(parameters);
            return read();
        });
        special.Pop();
        return new MacroDefinition(name, parameters, body, names);
    }

    private void ParseParameters(List<(string Name, Expression? Default)> parameters)
    {
        ExpectOperator("(");
        while (!Current.IsOperator(")"))
        {
            if (parameters.Count > 0) ExpectOperator(",");
            var target = (NameTarget)ParseTarget(withTuple: false, withNamespace: false);
            if (parameters.Any(parameter => parameter.Name == target.Name)) throw source.SyntaxError(target.Offset, $"there are two parameters '{target.Name}'.");
            if (TryOperator("=")) parameters.Add((target.Name, ParseExpression()));
            else if (parameters.Any(parameter => parameter.Default is not null)) throw source.SyntaxError(target.Offset, "a parameter without a value follows one with a value.");
            else parameters.Add((target.Name, null));
        }

        Next();
    }

    /// <summary>Reads what becomes a function of its own, out of which no <c>break</c> leads.</summary>
    private Block ParseFunctionBody(Func<Block> read)
    {
        var loops = loopsInFunction;
        loopsInFunction = 0;
        var body = Inner(read);
        loopsInFunction = loops;
        return body;
    }

    private GenerationStatement ParseGeneration(int offset)
    {
        hasGenerationBlocks = true;
        return new(offset, ParseFunctionBody(() => ParseOnlyBody("generation", "endgeneration")));
    }

    private WithStatement ParseWith(int offset)
    {
        var values = new List<(AssignmentTarget, Expression)>();
        while (Current.Kind != TokenKind.BlockEnd)
        {
            if (values.Count > 0) ExpectOperator(",");
            var target = ParseTarget(withTuple: true, withNamespace: false);
            ExpectOperator("=");
            values.Add((target, ParseExpression()));
        }

        return new WithStatement(offset, values, Inner(() => ParseOnlyBody("with", "endwith")));
    }

    private NamedBlockStatement ParseNamedBlock(int offset)
    {
        var name = ExpectName("the name of a block");
        while (TryName("scoped") || TryName("required"))
        {
            // Both speak of inheritance, which there is none of.
        }

        var body = ParseFunctionBody(() => ParseOnlyBody("block", "endblock"));
        if (Current.IsName(name)) Next();
        var block = new NamedBlockStatement(offset, body);
        if (!blocks.TryAdd(name, block)) throw source.SyntaxError(offset, $"there are two blocks '{name}'.");
        return block;
    }

    private PrintStatement ParsePrint(int offset)
    {
        var values = new List<Expression>();
        while (Current.Kind != TokenKind.BlockEnd)
        {
            if (values.Count > 0) ExpectOperator(",");
            values.Add(ParseExpression());
        }

        return new PrintStatement(offset, values);
    }

    private LoopControlStatement ParseLoopControl(JinjaToken token, Flow flow) =>
        loopsInFunction > 0 ? new LoopControlStatement(token.Offset, flow) : throw source.SyntaxError(token.Offset, $"'{token.Text}' stands in no loop.");

    private LoadStatement ParseLoad(JinjaToken tag)
    {
        ParseExpression();
        while (Current.Kind == TokenKind.Name || Current.IsOperator(",")) Next();
        return new LoadStatement(tag.Offset, tag.Text);
    }

    private AssignmentTarget ParseTarget(bool withTuple, bool withNamespace)
    {
        var offset = Current.Offset;
        if (!withTuple) return ParseOneTarget(withNamespace: false);
        var parts = new List<AssignmentTarget>();
        while (true)
        {
            if (Current.Kind == TokenKind.BlockEnd && parts.Count > 0 || Current.IsOperator(")")) break;
            parts.Add(ParseOneTarget(withNamespace));
            if (!TryOperator(",")) return parts.Count == 1 ? parts[0] : new TupleTarget(offset, parts);
        }

        return new TupleTarget(offset, parts);
    }

    private AssignmentTarget ParseOneTarget(bool withNamespace)
    {
        var token = Current;
        CheckDepth(token.Offset);
        if (TryOperator("("))
        {
            var inside = ParseTarget(withTuple: true, withNamespace);
            ExpectOperator(")");
            return inside;
        }

        var name = ExpectName("a name to assign to");
        if (name is "true" or "True" or "false" or "False" or "none" or "None") throw source.SyntaxError(token.Offset, $"'{name}' cannot be assigned to.");
        if (withNamespace && TryOperator(".")) return new NamespaceTarget(token.Offset, name, ExpectName("a namespace's attribute"));
        if (name == "loop" && loopsAround > 0) throw source.SyntaxError(token.Offset, "'loop' cannot be assigned to in a loop.");
        return new NameTarget(token.Offset, name);
    }
}
