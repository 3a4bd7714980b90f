namespace Fossil.Models.Chat.Jinja;

/// <summary>
/// A chat template: a program in Jinja's template language, run as transformers runs it (<c>transformers/utils/chat_template_utils.py</c>): Jinja's immutable sandbox with <c>trim_blocks</c> and
/// <c>lstrip_blocks</c>, loop controls and <c>generation</c> blocks. It reads nothing but its variables, and does no more than <see cref="RenderLimits"/> allow.
/// </summary>
internal sealed class JinjaTemplate
{
    private readonly TemplateSource source;
    private readonly ParsedTemplate parsed;

    private JinjaTemplate(TemplateSource source)
    {
        this.source = source;
        parsed = JinjaParser.Parse(source);
    }

    /// <summary>The template's text, its lines ending in <c>\n</c>.</summary>
    public string Text => source.Text;

    /// <summary>Whether it says by <c>generation</c> blocks what is to be learned.</summary>
    public bool HasGenerationBlocks => parsed.HasGenerationBlocks;

    /// <summary>Reads a template.</summary>
    /// <exception cref="ChatTemplateException">It is not written in the template language.</exception>
    public static JinjaTemplate Parse(string template) => new(new TemplateSource(template));

    /// <summary>Runs the template.</summary>
    /// <param name="variables">Its variables.</param>
    /// <param name="now">What its clock says.</param>
    /// <param name="limits">What it may do.</param>
    /// <exception cref="ChatTemplateException">It fails, or refuses what it was given.</exception>
    public MarkedText Render(IReadOnlyDictionary<string, object> variables, DateTime now, RenderLimits? limits = null)
    {
        var context = new RenderContext(variables, now, limits ?? new RenderLimits());
        var renderer = new Renderer(source, context);
        context.Root.Set("self", new NamedBlocks(parsed.Blocks, renderer));
        return parsed.Body.Capture(context.Root, renderer);
    }
}

/// <summary>One run of a template.</summary>
/// <param name="Source">The template's text, for messages.</param>
/// <param name="Context">Variables, clock, bounds.</param>
internal sealed record Renderer(TemplateSource Source, RenderContext Context)
{
    /// <summary>A failure with its place in the template.</summary>
    public ChatTemplateException Located(JinjaError error, int offset) => Source.Error(error.Kind, offset, error.Message, error.Raised);
}
