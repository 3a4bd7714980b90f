using System.Text;
using Microsoft.CodeAnalysis.Text;

namespace Fossil.Generators.Emission;

/// <summary>Writes source text line by line, four spaces a level, with <c>\n</c> on every platform.</summary>
internal sealed class IndentedWriter
{
    private readonly StringBuilder text = new();
    private int depth;

    /// <summary>Writes one line, or each line of a text of several; lines that are empty get no spaces.</summary>
    public void Line(string lines = "")
    {
        foreach (var line in lines.Split('\n'))
        {
            if (line.Length > 0) text.Append(' ', depth * 4).Append(line);
            text.Append('\n');
        }
    }

    /// <summary>Writes a comment on one line. What the consumer's program and file system put into it neither ends the line nor turns its direction.</summary>
    public void Comment(string comment) => Line($"// {OneLine.Of(comment)}");

    /// <summary>Writes <paramref name="header"/> and an opening brace; disposing the result writes the closing one.</summary>
    public Scope Block(string header)
    {
        Line(header);
        Line("{");
        depth++;
        return new Scope(this);
    }

    /// <summary>The text as a file of the compilation.</summary>
    public SourceText ToSourceText() => SourceText.From(text.ToString(), Encoding.UTF8);

    /// <summary>An open block.</summary>
    public readonly struct Scope(IndentedWriter writer) : IDisposable
    {
        /// <inheritdoc/>
        public void Dispose()
        {
            writer.depth--;
            writer.Line("}");
        }
    }
}
